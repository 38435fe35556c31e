import type { Secret } from "../../secrets/secret.ts";
import { addAsFragment, addToQuery, type Parameters } from "../redirect-address.ts";
import type { AuthorizeRequest } from "./schema.ts";

/** What the redirect carries, by response_type. */
export type AuthorizationResult =
  | { readonly response_type: "authenticate"; readonly id_token: Secret }
  | {
      readonly response_type: "token";
      readonly access_token: Secret;
      readonly expires_in: number;
      readonly scope: string;
      readonly id_token?: Secret;
    }
  | { readonly response_type: "code"; readonly code: Secret };

/**
 * The address that a finished authorization goes to: the result in the query, or in the fragment for `token`
 * (RFC 6749 §4.2.2), `state` byte for byte, `iss` where a client must tell issuers apart (RFC 9207). A query that the
 * callback has is kept as it is.
 */
export function authorizationResponse(
  redirect_uri: string,
  result: AuthorizationResult,
  state: AuthorizeRequest["state"],
  issuer: string,
): Secret {
  const parameters: Parameters =
    result.response_type === "authenticate"
      ? [
          ["id_token", result.id_token],
          ["state", state],
        ]
      : result.response_type === "code"
        ? [
            ["code", result.code],
            ["state", state],
            ["iss", issuer],
          ]
        : [
            ["access_token", result.access_token],
            ["token_type", "Bearer"],
            ["expires_in", String(result.expires_in)],
            ["scope", result.scope],
            ["state", state],
            ["iss", issuer],
            ["id_token", result.id_token],
          ];
  return result.response_type === "token"
    ? addAsFragment(redirect_uri, parameters)
    : addToQuery(redirect_uri, parameters);
}
