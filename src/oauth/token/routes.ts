import type { FastifyRequest } from "fastify";
import { refuse, refuseField } from "../../errors.ts";
import { EndUserHeaders, OidParams, refusals } from "../../http/contract.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { reveal, secret } from "../../secrets/secret.ts";
import type { PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";
import { AccessTokenReply, accessTokenReply, no_store } from "../token-reply.ts";
import { getToken } from "./auth-token.ts";
import { authenticate } from "./client-authentication.ts";
import { issueClientCredentials } from "./client-credentials.ts";
import { type CodeTokens, redeemAuthorizationCode } from "./redeem-code.ts";
import { AuthTokenBody, OAuthTokenBody, OAuthTokenReply } from "./schema.ts";

export function tokenRoutes(app: App, oauth: Oauth): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/token",
    config: { surface: "account", public: true, form: "body" },
    schema: {
      operationId: "aid_auths_oauth_token_post",
      summary: "Get a token",
      description:
        "client_credentials: Authorization: Basic with client_id (or the client's uuid) and client_secret, or Bearer with a partner's exchange token. Everything else: Bearer. authorization_code, password and mfa_oob take a client's token with admin:accounts, write:accounts, write:accounts:/auth/users or write:accounts:/auth/users/no-mfa; refresh_token one of the same client; account_user the account user's own, or an ID token of the account's own provider.",
      tags: ["authenticate"],
      params: OidParams,
      headers: EndUserHeaders,
      body: AuthTokenBody,
      response: {
        200: AccessTokenReply,
        ...refusals(
          "account",
          "invalid_request",
          "unsupported_grant_type",
          "invalid_grant",
          "invalid_target",
          "ident_required",
          "invalid_verification_code",
          "verification_code_used",
          "verification_code_expired",
          "invalid_client",
          "invalid_token",
          "unauthorized_client",
          "insufficient_scope",
          "mfa_required",
          "access_denied",
          "too_many_attempts",
        ),
      },
    },
    handler: async (request, reply) => {
      const tokens = await getToken(oauth, request as FastifyRequest, request.body);
      reply.headers(no_store);
      return accessTokenReply(tokens);
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/oauth/token",
    config: { surface: "oauth", public: true, form: "body" },
    schema: {
      operationId: "oauth_token_post",
      summary: "Token endpoint",
      description: "RFC 6749 §3.2: authorization_code (with PKCE, RFC 7636) and client_credentials.",
      tags: ["oauth"],
      params: OidParams,
      body: OAuthTokenBody,
      response: {
        200: OAuthTokenReply,
        ...refusals("oauth", "invalid_request", "unsupported_grant_type", "invalid_grant", "invalid_client"),
      },
    },
    handler: async (request, reply) => {
      const { body, account_id } = request;
      const { authorization } = request.headers;
      const { client_id, client_secret, grant_type, code, redirect_uri, code_verifier, scope } = body;
      const client = await authenticate(oauth.directory, account_id, { authorization, client_id, client_secret });
      reply.headers(no_store);
      switch (grant_type) {
        case "authorization_code": {
          if (code === undefined) throw refuseField("code", "required", "is required");
          return tokenReply(
            await redeemAuthorizationCode(oauth, { client, code: secret(code), redirect_uri, code_verifier }),
          );
        }
        case "client_credentials": {
          const audience = body.audience ?? body.resource;
          return tokenReply(await issueClientCredentials(oauth, { client, audience, scope }, factsOf(request)));
        }
        default:
          throw refuse("unsupported_grant_type");
      }
    },
  });
}

/** The reply's schema keeps what its surface knows. */
function tokenReply({ access_token, id_token, refresh_token, ...rest }: CodeTokens & PersonTokens) {
  return {
    ...rest,
    access_token: reveal(access_token),
    ...(id_token ? { id_token: reveal(id_token) } : {}),
    ...(refresh_token ? { refresh_token: reveal(refresh_token) } : {}),
  };
}
