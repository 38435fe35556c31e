import { Type } from "typebox";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { sectorOf } from "../../directory/clients/sector.ts";
import { canonicalAudience } from "../../directory/grants/audience.ts";
import { OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { secret } from "../../secrets/secret.ts";
import { subjectIn } from "../../tokens/pairwise.ts";
import { lookUpToken } from "../bearer/bearer.ts";
import { authenticate } from "../client-authentication/client-authentication.ts";
import { ClientForm } from "../client-authentication/schema.ts";
import type { Oauth } from "../oauth.ts";
import { lookUpLiveFamily } from "../refresh/revoke-family.ts";

const Answer = Type.Unsafe<Record<string, unknown>>({
  type: "object",
  additionalProperties: true,
  description: 'RFC 7662 §2.2; `{"active": false}` for a token that is not good, or not yours to ask about.',
});

export function introspectionRoutes(app: App, oauth: Oauth): void {
  const { directory } = oauth;
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/oauth/introspect",
    config: { surface: "oauth", public: true, credentials: ["client", "none"], form: "body", cors: false },
    schema: {
      operationId: "oauth_introspect_post",
      summary: "What a token is worth",
      description:
        "RFC 7662, for the client that a token was issued to and for clients whose setting resource_for names its audience.",
      tags: ["oauth"],
      params: OidParams,
      body: ClientForm,
      response: { 200: Answer, ...refusals("oauth", "invalid_request", "invalid_client") },
    },
    handler: async (request, reply) => {
      const { account_id, body } = request;
      const client = await authenticate(oauth, account_id, request.headers, body);
      reply.header("cache-control", "no-store");
      const account = await findAccount(directory, account_id);
      const canonical = (audience: string) => canonicalAudience(account, directory.public_url, audience);
      const token = await lookUpToken(oauth, account_id, body.token);
      if (token) {
        const { client_uuid, audience, scope, expires_at, issued_at, subject, client_id, issuer, subject_type } = token;
        const resources = client.settings.resource_for.map(canonical);
        if (client_uuid !== client.id && !resources.includes(canonical(audience))) return { active: false };
        return {
          active: true,
          token_type: token.jkt === undefined ? "Bearer" : "DPoP",
          cnf: token.jkt === undefined ? undefined : { jkt: token.jkt },
          scope: scope.join(" "),
          exp: expires_at,
          iat: issued_at,
          sub: token.pairwise_subject ?? subject,
          client_id,
          iss: issuer,
          aud: audience,
          subject_type,
          auth_time: token.auth_time,
          amr: token.amr,
        };
      }
      const family = await lookUpLiveFamily(directory, account_id, secret(body.token));
      if (!family || family.client_id !== client.id) return { active: false };
      const exp = Math.floor(Math.min(Date.parse(family.expires_at), Date.parse(family.idle_expires_at)) / 1000);
      const sub = await subjectIn(oauth.tokens, account_id, sectorOf(client), family.user_id);
      return { active: true, scope: family.scope.join(" "), sub, client_id: client.client_id, exp };
    },
  });
}
