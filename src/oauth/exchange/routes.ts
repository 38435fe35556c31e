import { Type } from "typebox";
import { actorOf } from "../../directory/actor.ts";
import { bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { reveal } from "../../secrets/secret.ts";
import { EXCHANGE_LIFETIME } from "../../tokens/exchange-token.ts";
import type { Oauth } from "../oauth.ts";
import { AccessTokenReply, no_store } from "../token-reply.ts";
import { exchange } from "./exchange.ts";

export function exchangeRoutes(app: App, oauth: Oauth): void {
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
      const token = await exchange(oauth, request.bearer, request.body.account_id, actorOf(request));
      reply.headers(no_store);
      return { access_token: reveal(token), token_type: "Bearer" as const, expires_in: EXCHANGE_LIFETIME };
    },
  });
}
