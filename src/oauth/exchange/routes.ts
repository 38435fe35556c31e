import { Type } from "typebox";
import { recordDeed } from "../../audit/audit.ts";
import { isOwner, issuerOf, ownerOf } from "../../directory/accounts/account.ts";
import { findAccount, lookUpAccount } from "../../directory/accounts/find-account.ts";
import { actorOf } from "../../directory/actor.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { grantsOf } from "../../directory/grants/find-grant.ts";
import { refuse, refuseField } from "../../errors.ts";
import { type Bearer, bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { reveal } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { EXCHANGE_LIFETIME, signExchangeToken } from "../../tokens/exchange-token.ts";
import { issuingOf } from "../authorization-for.ts";
import type { Oauth } from "../oauth.ts";
import { AccessTokenReply } from "../token-reply.ts";

export function exchangeRoutes(app: App, { directory, tokens }: Oauth): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/exchange_token",
    config: { surface: "account", scopes: ["admin:accounts", "read:accounts"] },
    schema: {
      operationId: "aid_auths_oauth_exchange_token_post",
      summary: "Get an exchange token for an account of this owner",
      description:
        "Send it once, within 15 minutes, as Bearer to that account's auth/token with grant_type=client_credentials.",
      tags: ["authenticate"],
      params: OidParams,
      body: Type.Object({ account_id: Type.String({ pattern: "^[PT]{1}\\d{8}$" }) }),
      response: { 200: AccessTokenReply, ...refusals("account", ...bearer_refusals, "access_denied") },
    },
    handler: async (request, reply) => {
      const { account_id: partner_id, bearer, body } = request;
      const { account_id } = body;
      if (!isOwner(partner_id)) throw refuseField("oid", "pattern", "must be an owner: its last five digits are 0");
      const { storage, public_url } = directory;
      const merchant =
        ownerOf(account_id) === partner_id && account_id !== partner_id
          ? await lookUpAccount(directory, account_id)
          : undefined;
      if (!merchant?.settings.partner_access) {
        throw refuse("access_denied", { message: "That account is not one of this owner's, or lets no owner in." });
      }
      const issuing = issuingOf(directory, await findAccount(directory, partner_id));
      const now = storage.now();
      const audience = `${issuerOf(public_url, account_id)}/auth/token`;
      const holder = { client_uuid: bearer.client_uuid, within: await narrowedTo(directory, bearer) };
      const token = await signExchangeToken(tokens, issuing, holder, audience, now);
      const deed = { account_id: partner_id, action: "auth.exchange_token", entity: account_id, now: instant(now) };
      await storage.write((tx) => recordDeed(tx, { ...deed, actor: actorOf(request) }));
      reply.headers({ "cache-control": "no-store", pragma: "no-cache" });
      return { access_token: reveal(token), token_type: "Bearer" as const, expires_in: EXCHANGE_LIFETIME };
    },
  });
}

/** The scopes of a token that has less than its grant gives: what comes of it has no more. */
async function narrowedTo(directory: Directory, bearer: Bearer): Promise<readonly string[] | undefined> {
  const { account_id, client_uuid, grant_id, scope } = bearer;
  const client = await lookUpClient(directory, account_id, client_uuid);
  const grant = client && (await grantsOf(directory, client)).find(({ id }) => id === grant_id);
  return grant?.scope.every((given) => scope.includes(given)) ? undefined : scope;
}
