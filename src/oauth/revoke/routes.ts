import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { recordDeed } from "../../audit/audit.ts";
import { actorFrom, actorOf } from "../../directory/actor.ts";
import type { Actor } from "../../directory/directory.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import { bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { revoke } from "../../revocation/revocation.ts";
import { secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { issuedWith } from "../../tokens/verify.ts";
import { lookUpToken } from "../bearer/bearer.ts";
import { authenticate } from "../client-authentication/client-authentication.ts";
import { ClientForm } from "../client-authentication/schema.ts";
import type { Oauth } from "../oauth.ts";
import { readRefreshToken } from "../refresh/family.ts";
import { lookUpFamily, revokeFamily } from "../refresh/revoke-family.ts";
import { REFRESH_SCOPE } from "../scopes.ts";

export function revokeRoutes(app: App, oauth: Oauth): void {
  const { directory } = oauth;
  const { storage } = directory;
  const note = (account_id: string, entity: string, actor: Actor) =>
    storage.write((tx) =>
      recordDeed(tx, { account_id, action: "auth.revoked", entity, now: instant(storage.now()), actor }),
    );

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/revoke",
    config: { surface: "account", scopes: ["admin:accounts", "write:accounts", REFRESH_SCOPE] },
    schema: {
      operationId: "aid_auths_oauth_revoke_post",
      summary: "Revoke a refresh token",
      description: "Ends the login with every token of it. An unknown token is no error (RFC 7009 §2.2).",
      tags: ["authenticate"],
      params: OidParams,
      body: Type.Object({ token: Type.String({ minLength: 1 }) }),
      response: { 200: Type.Object({}), ...refusals("account", ...bearer_refusals) },
    },
    handler: async (request) => {
      const { account_id, bearer, body } = request;
      const read = readRefreshToken(directory.master_keys, account_id, secret(body.token));
      const family = read && (await lookUpFamily(directory, account_id, read.family_id));
      if (!family) return {};
      checkActsFor(bearer, { id: family.client_id });
      await revokeFamily(directory, family);
      await note(account_id, family.id, actorOf(request));
      return {};
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/oauth/revoke",
    config: { surface: "oauth", public: true, credentials: ["client", "none"], form: "body" },
    schema: {
      operationId: "oauth_revoke_post",
      summary: "Revoke a token",
      description:
        "RFC 7009. A refresh token ends the login with every token of it, an access token the login that it was issued with. A token that came from an exchange (RFC 8693) ends with what came of it in turn, and the login goes on.",
      tags: ["oauth"],
      params: OidParams,
      body: ClientForm,
      response: { 200: Type.Object({}), ...refusals("oauth", "invalid_request", "invalid_client") },
    },
    handler: async (request) => {
      const { account_id, body } = request;
      const client = await authenticate(oauth, account_id, request.headers, body);
      const read = readRefreshToken(directory.master_keys, account_id, secret(body.token));
      const family = read && (await lookUpFamily(directory, account_id, read.family_id));
      const token = family ? undefined : await lookUpToken(oauth, account_id, body.token);
      const actor = actorFrom(client.id, factsOf(request as FastifyRequest));
      if (family?.client_id === client.id) {
        await revokeFamily(directory, family);
        await note(account_id, family.id, actor);
      }
      if (token?.client_uuid === client.id) {
        await revoke(storage, directory.revocations, { account_id, subject: issuedWith(token) });
        await note(account_id, token.sid, actor);
      }
      return {};
    },
  });
}
