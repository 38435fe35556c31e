import { refuse, refuseField } from "../../errors.ts";
import { OidParams, refusals } from "../../http/contract.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { reveal, secret } from "../../secrets/secret.ts";
import { authenticate, authenticateBasic } from "./client-authentication.ts";
import { issueClientCredentials, type TokenDeps } from "./client-credentials.ts";
import { type CodeTokens, redeemAuthorizationCode } from "./redeem-code.ts";
import { AccessTokenReply, AuthTokenBody, OAuthTokenBody, OAuthTokenReply } from "./schema.ts";

const no_store = { "cache-control": "no-store", pragma: "no-cache" };

export function tokenRoutes(app: App, deps: TokenDeps): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/token",
    config: { surface: "account", public: true, form: "body" },
    schema: {
      operationId: "aid_auths_oauth_token_post",
      summary: "Get a token",
      description: "client_credentials: Authorization: Basic with client_id (or the client's uuid) and client_secret.",
      tags: ["authenticate"],
      params: OidParams,
      body: AuthTokenBody,
      response: {
        200: AccessTokenReply,
        ...refusals("account", "invalid_request", "unsupported_grant_type", "invalid_client", "unauthorized_client"),
      },
    },
    handler: async (request, reply) => {
      const { grant_type, audience } = request.body;
      if (grant_type !== "client_credentials") throw refuse("unsupported_grant_type");
      const { authorization = "" } = request.headers;
      const client = await authenticateBasic(deps.directory, request.account_id, authorization);
      if (audience === undefined) throw refuseField("audience", "required", "is required");
      reply.headers(no_store);
      return tokenReply(await issueClientCredentials(deps, { client, audience }, factsOf(request)));
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
      const client = await authenticate(deps.directory, account_id, { authorization, client_id, client_secret });
      reply.headers(no_store);
      switch (grant_type) {
        case "authorization_code": {
          if (code === undefined) throw refuseField("code", "required", "is required");
          return tokenReply(
            await redeemAuthorizationCode(deps, { client, code: secret(code), redirect_uri, code_verifier }),
          );
        }
        case "client_credentials": {
          const audience = body.audience ?? body.resource;
          return tokenReply(await issueClientCredentials(deps, { client, audience, scope }, factsOf(request)));
        }
        default:
          throw refuse("unsupported_grant_type");
      }
    },
  });
}

/** The reply's schema keeps what its surface knows. */
function tokenReply({ access_token, id_token, ...rest }: CodeTokens) {
  return { ...rest, access_token: reveal(access_token), ...(id_token ? { id_token: reveal(id_token) } : {}) };
}
