import { Type } from "typebox";
import { actorFrom, actorOf } from "../../directory/actor.ts";
import { bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { authenticate } from "../client-authentication/client-authentication.ts";
import { ClientForm, PresentedToken } from "../client-authentication/schema.ts";
import type { Oauth } from "../oauth.ts";
import { REFRESH_SCOPE } from "../scopes.ts";
import { revokeFor, revokeOwn } from "./revoke-token.ts";

export function revokeRoutes(app: App, oauth: Oauth): void {
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
      body: Type.Object({ token: PresentedToken }),
      response: { 200: Type.Object({}), ...refusals("account", ...bearer_refusals) },
    },
    handler: async (request) => {
      await revokeFor(oauth.directory, request.bearer, request.body.token, actorOf(request));
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
        "RFC 7009. A refresh token ends its login with every token of it; an access token ends the login that it was issued with. A token from an exchange (RFC 8693) ends together with all tokens that further exchanges made out of it, and the login goes on. A valid token of another client is refused with invalid_grant, but to public clients, which get the answer for an expired one. An unknown or expired token is no error.",
      tags: ["oauth"],
      params: OidParams,
      body: ClientForm,
      response: {
        200: Type.Object({}),
        ...refusals(
          "oauth",
          ...(["invalid_request", "invalid_grant", "invalid_client", "unauthorized_client"] as const),
          "client_unreachable",
        ),
      },
    },
    handler: async (request) => {
      const { body } = request;
      const client = await authenticate(oauth, request, body, "revoke");
      const actor = actorFrom(client.id, factsOf(request));
      await revokeOwn(oauth, client, body.token, actor);
      return {};
    },
  });
}
