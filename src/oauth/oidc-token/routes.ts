import { Type } from "typebox";
import { exchangeCode } from "../../authentication/federation/exchange-code.ts";
import { linkIdentity } from "../../authentication/federation/link-identity.ts";
import { requireFactor } from "../../authentication/mfa/require-factor.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { matchRedirectUri } from "../../directory/clients/callback.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { canonicalAudience } from "../../directory/grants/audience.ts";
import { grantsOf } from "../../directory/grants/find-grant.ts";
import { openOidcSecret } from "../../directory/grants/oidc-secret.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import { refuse } from "../../errors.ts";
import { bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { secret } from "../../secrets/secret.ts";
import { issueForPerson } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";
import { AccessTokenReply, accessTokenReply, no_store } from "../token-reply.ts";

const OidcTokenBody = Type.Object({
  grant_type: Type.Enum(["authorization_code"]),
  code: Type.String({ minLength: 1, maxLength: 4_096, description: "The external server's code." }),
  client_id: Type.String({ minLength: 1, maxLength: 64 }),
  audience: Type.String({ minLength: 1, description: "Names a grant of the client that has oidc." }),
  redirect_uri: Type.Optional(Type.String({ minLength: 1, description: "Where the browser came back to." })),
  nonce: Type.Optional(
    Type.String({ minLength: 1, description: "Sent with the login; then the ID token must hold it." }),
  ),
  code_verifier: Type.Optional(Type.String({ minLength: 43, maxLength: 128 })),
});

const OidcTokenReply = Type.Object({
  ...AccessTokenReply.properties,
  user_info: Type.Object({
    authority: Type.String({ description: "Issuer of the external server." }),
    value: Type.Unsafe<Record<string, unknown>>({
      type: "object",
      additionalProperties: true,
      description: "What it says about the person.",
    }),
  }),
});

export function oidcTokenRoutes(app: App, oauth: Oauth): void {
  const { directory, federation } = oauth;
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
      const { account_id, bearer, body } = request;
      const account = await findAccount(directory, account_id);
      const client = await findClient(directory, account_id, body.client_id);
      checkActsFor(bearer, client);
      if (body.redirect_uri !== undefined) matchRedirectUri(client, body.redirect_uri);
      const { audience, nonce, code_verifier } = body;
      const wanted = canonicalAudience(account, directory.public_url, audience);
      const grant = (await grantsOf(directory, client)).find(
        (one) => one.oidc && canonicalAudience(account, directory.public_url, one.audience) === wanted,
      );
      const client_secret = grant && (await openOidcSecret(directory, grant));
      if (!grant?.oidc || !client_secret) {
        throw refuse("unauthorized_client", { message: "The client holds no grant with oidc for this audience." });
      }
      const now = directory.storage.now();
      const { authority, client_id, trusted_domains = [] } = grant.oidc;
      const claims = await exchangeCode(federation, {
        ...{ authority, client_id, client_secret, nonce, now },
        code: secret(body.code),
        redirect_uri: body.redirect_uri,
        code_verifier: code_verifier === undefined ? undefined : secret(code_verifier),
      });
      const login = { account, client, grant_id: grant.id, actor: bearer.subject, facts: factsOf(request), now };
      const subject = await linkIdentity(directory, { ...login, claims, trusted_domains });
      const continuation = { kind: "token", audience, lasting: false };
      await requireFactor(oauth.mfa, { account, client, grant_id: grant.id, subject, continuation, now });
      const tokens = await issueForPerson(oauth, { account, client, grant, audience, subject, refresh: false }, now);
      reply.headers(no_store);
      return { ...accessTokenReply(tokens), user_info: { authority, value: { ...claims } } };
    },
  });
}
