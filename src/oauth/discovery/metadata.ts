import { issuerOf } from "../../directory/accounts/account.ts";
import { signing_algs } from "../../secrets/signing-alg.ts";
import { acr_values } from "../authorization-for.ts";

/** What this issuer can do today, and nothing it cannot (RFC 8414 §2, OpenID Connect Discovery §3). */
export function metadataOf(public_url: string, account_id: string) {
  const issuer = issuerOf(public_url, account_id);
  return {
    issuer,
    token_endpoint: `${issuer}/oauth/token`,
    jwks_uri: `${issuer}/oauth/jwks.json`,
    response_types_supported: ["code"],
    response_modes_supported: ["query"],
    grant_types_supported: ["authorization_code", "client_credentials"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: signing_algs.toSorted((a) => (a === "RS256" ? -1 : 0)),
    token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
    code_challenge_methods_supported: ["S256"],
    scopes_supported: ["openid"],
    claims_supported: ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "email", "name"],
    acr_values_supported: [...acr_values],
    authorization_response_iss_parameter_supported: true,
    request_uri_parameter_supported: false,
    claims_parameter_supported: false,
  };
}
