import { bearer_refusals, EndUserHeaders, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { reveal } from "../../secrets/secret.ts";
import { callerOf } from "../caller.ts";
import type { Oauth } from "../oauth.ts";
import { authorize } from "./authorize.ts";
import { AuthorizeParameters, AuthorizeRedirect, Found } from "./schema.ts";

export function authorizeRoutes(app: App, oauth: Oauth): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/authorize",
    config: { surface: "account", scopes: [], foreign_subject: "invalid_token", form: "query" },
    schema: {
      operationId: "aid_auths_oauth_authorize_post",
      summary: "Exchange a verification code for a redirect",
      description:
        "Answers 302 to a registered callback, whatever Accept says. The parameters may come as a form body instead of the query, which keeps the code out of proxies' logs.",
      tags: ["authenticate"],
      params: OidParams,
      querystring: AuthorizeParameters,
      headers: EndUserHeaders,
      response: {
        200: AuthorizeRedirect,
        302: Found,
        ...refusals(
          "account",
          ...bearer_refusals,
          "unauthorized_client",
          "redirect_uri_required",
          "redirect_uri_mismatch",
          "unsupported_response_type",
          "ident_required",
          "invalid_verification_code",
          "verification_code_used",
          "verification_code_expired",
          "invalid_grant",
          "mfa_required",
          "access_denied",
          "too_many_attempts",
        ),
      },
    },
    handler: async (request, reply) => {
      const caller = await callerOf(oauth.directory, request, request.bearer);
      const location = await authorize(oauth, caller, request.query);
      reply.headers({ "cache-control": "no-store", "referrer-policy": "no-referrer" });
      if (request.query.response_mode === "json") return { redirect_uri: reveal(location) };
      return reply.redirect(reveal(location), 302);
    },
  });
}
