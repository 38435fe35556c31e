import type { FastifyRequest } from "fastify";
import type { Static } from "typebox";
import { EndUserHeaders, OidParams, refusals } from "../../http/contract.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { reveal } from "../../secrets/secret.ts";
import { authenticate } from "../client-authentication/client-authentication.ts";
import { checkProofCame, nonceHeader, presentedBy, shownProof } from "../dpop/dpop.ts";
import { targets } from "../named-audience.ts";
import type { Oauth } from "../oauth.ts";
import { AccessTokenReply, accessTokenReply, no_store } from "../token-reply.ts";
import { getToken } from "./auth-token.ts";
import { AuthTokenBody, OAuthTokenBody, OAuthTokenReply } from "./schema.ts";
import { type StandardTokens, standardToken } from "./standard-token.ts";

export function tokenRoutes(app: App, oauth: Oauth): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/token",
    config: { surface: "account", public: true, credentials: ["client", "bearer", "none"], form: "body" },
    schema: {
      operationId: "aid_auths_oauth_token_post",
      summary: "Get a token",
      description:
        "For client_credentials, authenticate by HTTP Basic with client_id (or the client's uuid) and client_secret, or send both in the body, or send a partner's exchange token as Bearer. All other grant types need a Bearer token. authorization_code, password and mfa_oob: a client's token with admin:accounts, write:accounts, write:accounts:/auth/users or write:accounts:/auth/users/no-mfa. refresh_token: a token of the same client. account_user: the account user's own token, or an ID token of the account's own provider.",
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
          "client_unreachable",
          "invalid_token",
          "unauthorized_client",
          "insufficient_scope",
          "mfa_required",
          "access_denied",
          "not_found",
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
    config: { surface: "oauth", public: true, credentials: ["client", "none"], form: "body", targets },
    schema: {
      operationId: "oauth_token_post",
      summary: "Token endpoint",
      description:
        "RFC 6749 §3.2: authorization_code (with PKCE, RFC 7636), refresh_token, client_credentials, device codes (RFC 8628) and token exchange (RFC 8693). Clients authenticate by client_secret_basic, client_secret_post, private_key_jwt or, if public, by nothing.",
      tags: ["oauth"],
      params: OidParams,
      body: OAuthTokenBody,
      response: {
        200: OAuthTokenReply,
        ...refusals(
          "oauth",
          "invalid_request",
          "unsupported_grant_type",
          "invalid_grant",
          "invalid_target",
          "invalid_scope",
          "invalid_client",
          "unauthorized_client",
          "client_unreachable",
          "authorization_pending",
          "slow_down",
          "expired_token",
          "device_denied",
          "invalid_dpop_proof",
          "use_dpop_nonce",
        ),
      },
    },
    handler: async (request, reply) => {
      const { body, account_id } = request;
      const { directory } = oauth;
      const proof = await shownProof(directory, account_id, presentedBy(request));
      const client = await authenticate(oauth, request, body);
      checkProofCame(client, proof);
      reply.headers(no_store);
      if (proof) reply.headers(nonceHeader(directory.master_keys, account_id, directory.storage.now()));
      return tokenReply(await standardToken(oauth, client, body, factsOf(request), proof));
    },
  });
}

/** The reply's schema keeps what its surface knows. */
function tokenReply(tokens: StandardTokens): Static<typeof OAuthTokenReply> {
  const { access_token, token_type, expires_in, scope, issued_token_type, id_token, refresh_token } = tokens;
  const reply: Static<typeof OAuthTokenReply> = { access_token: reveal(access_token), token_type, expires_in, scope };
  if (issued_token_type !== undefined) reply.issued_token_type = issued_token_type;
  if (id_token) reply.id_token = reveal(id_token);
  if (refresh_token) reply.refresh_token = reveal(refresh_token);
  return reply;
}
