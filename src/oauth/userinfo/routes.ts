import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { refuse } from "../../errors.ts";
import { bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { LONGEST_TOKEN } from "../../secrets/longest-token.ts";
import { reveal } from "../../secrets/secret.ts";
import { type Presented, presentedBy } from "../dpop/dpop.ts";
import type { Oauth } from "../oauth.ts";
import { tellAbout } from "./userinfo.ts";

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

export function userinfoRoutes(app: App, oauth: Oauth): void {
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
        response: { 200: Claims, ...refusals("oauth", ...bearer_refusals) },
      },
      handler: async (request, reply) => {
        reply.header("cache-control", "no-store");
        const { claims, jwt } = await tellAbout(oauth, request.account_id, shownBy(request as FastifyRequest));
        if (!jwt) return claims;
        reply.type("application/jwt").serializer(String);
        return reveal(jwt) as never;
      },
    });
  }
}

/** The token in the header or, as the form has it, in the body. @throws 400 invalid_request where it is in both. */
function shownBy(request: FastifyRequest): Presented {
  const presented = presentedBy(request);
  const { access_token } = (request.body ?? {}) as { access_token?: string };
  if (access_token === undefined) return presented;
  if (presented.authorization !== undefined) {
    const headers = { "www-authenticate": 'Bearer realm="latchkey", error="invalid_request"' };
    throw refuse("invalid_request", { message: "The access token must come in one way only.", headers });
  }
  return { ...presented, authorization: `Bearer ${access_token}` };
}
