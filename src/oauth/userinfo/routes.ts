import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import { refuse } from "../../errors.ts";
import { OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { LONGEST_TOKEN } from "../../secrets/longest-token.ts";
import { reveal } from "../../secrets/secret.ts";
import { signJws } from "../../tokens/jws.ts";
import { signingKey } from "../../tokens/keys/find-key.ts";
import { challengeOf, findToken } from "../bearer/bearer.ts";
import { presentedBy } from "../dpop/dpop.ts";
import type { Oauth } from "../oauth.ts";
import { claimsAbout, claimsOfScopes } from "./claims-about.ts";

const Claims = Type.Unsafe<Record<string, unknown>>({
  type: "object",
  additionalProperties: true,
  description: "`sub` always; the rest as the scopes profile, email and phone allow.",
});

/** RFC 6750 §2.2 */
const Form = Type.Union([
  Type.Object({ access_token: Type.Optional(Type.String({ minLength: 1, maxLength: LONGEST_TOKEN })) }),
  Type.Null(),
]);

/** What a person agreed to tell the client that holds the token (OpenID Connect Core §5.3). */
export function userinfoRoutes(app: App, oauth: Oauth): void {
  async function answer(request: FastifyRequest, reply: FastifyReply) {
    const presented = presentedBy(request);
    const { access_token } = (request.body ?? {}) as { access_token?: string };
    if (access_token !== undefined && presented.authorization !== undefined)
      throw refuse("invalid_request", { message: "The access token must come in one way only." });
    const authorization = access_token === undefined ? presented.authorization : `Bearer ${access_token}`;
    const token = await findToken(oauth, request.account_id, { ...presented, authorization });
    if (token.subject_type !== "user" || !token.scope.includes("openid")) {
      throw refuse("insufficient_scope", {
        message: "userinfo takes a person's token with the scope openid.",
        scopes: ["openid"],
      });
    }
    const user = await lookUpUser(oauth.directory, request.account_id, token.subject);
    if (!user) throw challengeOf(refuse("invalid_token"));
    const client = await lookUpClient(oauth.directory, request.account_id, token.client_uuid);
    const names = [...claimsOfScopes(token.scope), ...(token.userinfo_claims ?? [])];
    const claims = { sub: token.pairwise_subject ?? user.id, ...claimsAbout(user, names) };
    const alg = client?.settings.userinfo_signed_response_alg ?? null;
    if (alg === null) return claims;
    const { tokens, directory } = oauth;
    const key = await signingKey(tokens, request.account_id, alg, directory.storage.now());
    const signed = await signJws(key, "JWT", { iss: token.issuer, aud: token.client_id, ...claims });
    reply.type("application/jwt").serializer(String);
    return reveal(signed);
  }

  for (const method of ["GET", "POST"] as const) {
    app.route({
      method,
      url: "/v1/accounts/:oid/oauth/userinfo",
      config: {
        surface: "oauth",
        public: true,
        ...(method === "POST" ? { credentials: ["bearer", "none"], form: "body" } : { credentials: ["bearer"] }),
      },
      schema: {
        operationId: `oauth_userinfo_${method.toLowerCase()}`,
        summary: "About the person whose token it is",
        tags: ["oauth"],
        params: OidParams,
        ...(method === "POST" ? { body: Form } : {}),
        response: { 200: Claims, ...refusals("oauth", "invalid_request", "invalid_token", "insufficient_scope") },
      },
      handler: async (request, reply) => {
        reply.header("cache-control", "no-store");
        return answer(request, reply as FastifyReply) as never;
      },
    });
  }
}
