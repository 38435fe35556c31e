import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { findUser } from "../../directory/users/find-user.ts";
import { refuse } from "../../errors.ts";
import { OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { findToken } from "../bearer/bearer.ts";
import { presentedBy } from "../dpop/dpop.ts";
import type { Oauth } from "../oauth.ts";

const Claims = Type.Unsafe<Record<string, unknown>>({
  type: "object",
  additionalProperties: true,
  description: "`sub` always; the rest as the scopes profile, email and phone allow.",
});

/** What a person agreed to tell the client that holds the token (OpenID Connect Core §5.3). */
export function userinfoRoutes(app: App, oauth: Oauth): void {
  async function answer(request: FastifyRequest) {
    const token = await findToken(oauth, request.account_id, presentedBy(request));
    if (token.subject_type !== "user" || !token.scope.includes("openid")) {
      throw refuse("insufficient_scope", {
        message: "userinfo takes a person's token with the scope openid.",
        headers: { "www-authenticate": 'Bearer realm="latchkey", error="insufficient_scope", scope="openid"' },
      });
    }
    const user = await findUser(oauth.directory, request.account_id, token.subject).catch(() => {
      throw refuse("invalid_token");
    });
    const { id, email, email_verified_at, phone_number, phone_verified_at, name, locale, updated_at } = user;
    const has = (scope: string) => token.scope.includes(scope);
    return {
      sub: id,
      ...(has("email") && email ? { email, email_verified: email_verified_at !== null } : {}),
      ...(has("phone") && phone_number ? { phone_number, phone_number_verified: phone_verified_at !== null } : {}),
      ...(has("profile") && name ? { name } : {}),
      ...(has("profile") && locale ? { locale } : {}),
      ...(has("profile") ? { updated_at: Math.floor(Date.parse(updated_at) / 1000) } : {}),
    };
  }

  for (const method of ["GET", "POST"] as const) {
    app.route({
      method,
      url: "/v1/accounts/:oid/oauth/userinfo",
      config: { surface: "oauth", public: true, ...(method === "POST" ? { form: "body" as const } : {}) },
      schema: {
        operationId: `oauth_userinfo_${method.toLowerCase()}`,
        summary: "About the person whose token it is",
        tags: ["oauth"],
        params: OidParams,
        response: { 200: Claims, ...refusals("oauth", "invalid_request", "invalid_token", "insufficient_scope") },
      },
      handler: async (request, reply) => {
        reply.header("cache-control", "no-store");
        return answer(request as FastifyRequest);
      },
    });
  }
}
