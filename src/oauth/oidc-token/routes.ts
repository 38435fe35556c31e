import { bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { callerOf } from "../caller.ts";
import type { Oauth } from "../oauth.ts";
import { accessTokenReply, no_store } from "../token-reply.ts";
import { logInUpstream } from "./log-in-upstream.ts";
import { OidcTokenBody, OidcTokenReply } from "./schema.ts";

export function oidcTokenRoutes(app: App, oauth: Oauth): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/oidc/token",
    config: { surface: "account", scopes: ["admin:accounts", "write:accounts", "write:accounts:/auth/users"] },
    schema: {
      operationId: "aid_auths_oidc_token_post",
      summary: "Get a token for a login at an external OpenID provider",
      description: "Answers within five seconds, whatever the external server does.",
      tags: ["authenticate"],
      params: OidParams,
      body: OidcTokenBody,
      response: {
        200: OidcTokenReply,
        ...refusals(
          "account",
          ...bearer_refusals,
          "upstream_login_failed",
          "redirect_uri_mismatch",
          "unauthorized_client",
          "user_not_linked",
          "mfa_required",
        ),
      },
    },
    handler: async (request, reply) => {
      const caller = await callerOf(oauth.directory, request, request.bearer);
      const { tokens, authority, claims } = await logInUpstream(oauth, caller, request.body);
      reply.headers(no_store);
      return { ...accessTokenReply(tokens), user_info: { authority, value: { ...claims } } };
    },
  });
}
