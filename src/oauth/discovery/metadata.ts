/**
 * What an issuer says of itself to clients that know its address alone: its endpoints, what they take, its keys.
 *
 * In: the account. Out: the documents of RFC 8414, OpenID Connect Discovery and RFC 9728. They name what is served today, so
 * whoever adds an algorithm or an endpoint adds it here.
 */
import { type Account, issuerOf } from "../../directory/accounts/account.ts";
import { DEVICE_CODE, EXCHANGE } from "../../directory/clients/settings.ts";
import { asymmetric_algs } from "../../secrets/public-key.ts";
import { signing_algs } from "../../secrets/signing-alg.ts";
import { acr_values } from "../authorization-for.ts";
import { identity_scopes } from "../scopes.ts";

/** What this issuer can do today, and nothing it cannot (RFC 8414 §2, OpenID Connect Discovery §3). */
export function metadataOf(public_url: string, { account_id, settings }: Account, languages: readonly string[]) {
  const issuer = issuerOf(public_url, account_id);
  const proofs = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
  const methods = [...proofs, "none"];
  return {
    issuer,
    authorization_endpoint: `${issuer}/oauth/authorize`,
    token_endpoint: `${issuer}/oauth/token`,
    userinfo_endpoint: `${issuer}/oauth/userinfo`,
    jwks_uri: `${issuer}/oauth/jwks.json`,
    pushed_authorization_request_endpoint: `${issuer}/oauth/par`,
    registration_endpoint: `${issuer}/oauth/register`,
    device_authorization_endpoint: `${issuer}/oauth/device_authorization`,
    introspection_endpoint: `${issuer}/oauth/introspect`,
    revocation_endpoint: `${issuer}/oauth/revoke`,
    end_session_endpoint: `${issuer}/oauth/logout`,
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
    response_types_supported: ["code"],
    response_modes_supported: ["query", "fragment", "form_post"],
    grant_types_supported: ["authorization_code", "refresh_token", "client_credentials", DEVICE_CODE, EXCHANGE],
    subject_types_supported: ["public", "pairwise"],
    userinfo_signing_alg_values_supported: [...signing_algs],
    request_object_signing_alg_values_supported: asymmetric_algs,
    id_token_signing_alg_values_supported: signing_algs.toSorted((a) => (a === "RS256" ? -1 : 0)),
    token_endpoint_auth_methods_supported: methods,
    token_endpoint_auth_signing_alg_values_supported: asymmetric_algs,
    introspection_endpoint_auth_methods_supported: proofs,
    introspection_endpoint_auth_signing_alg_values_supported: asymmetric_algs,
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: asymmetric_algs,
    code_challenge_methods_supported: ["S256"],
    scopes_supported: identity_scopes.filter((scope) => scope !== "address"),
    claims_supported: [
      ...["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "sid"],
      ...["email", "email_verified", "name", "locale", "updated_at", "phone_number", "phone_number_verified"],
    ],
    acr_values_supported: [...acr_values],
    prompt_values_supported: ["none", "login", "consent", "select_account", "create"],
    ui_locales_supported: [...languages],
    dpop_signing_alg_values_supported: asymmetric_algs,
    client_id_metadata_document_supported: settings.client_id_metadata_documents,
    authorization_response_iss_parameter_supported: true,
    request_parameter_supported: true,
    request_uri_parameter_supported: false,
    require_request_uri_registration: false,
    claims_parameter_supported: true,
  };
}

/** The account API as others see it, or what is `below` it and has tokens of its own (RFC 9728 §2). */
export function resourceMetadataOf(public_url: string, { account_id, name }: Account, below: string) {
  const issuer = issuerOf(public_url, account_id);
  return {
    resource: `${issuer}${below}`,
    resource_name: name,
    authorization_servers: [issuer],
    bearer_methods_supported: ["header"],
    dpop_signing_alg_values_supported: asymmetric_algs,
    dpop_bound_access_tokens_required: false,
    resource_documentation: `${public_url}/docs`,
  };
}
