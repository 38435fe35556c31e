import { reveal, type Secret, secret } from "../../secrets/secret.ts";
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
  const parameters: [string, string | undefined][] =
    result.response_type === "authenticate"
      ? [
          ["id_token", reveal(result.id_token)],
          ["state", state],
        ]
      : result.response_type === "code"
        ? [
            ["code", reveal(result.code)],
            ["state", state],
            ["iss", issuer],
          ]
        : [
            ["access_token", reveal(result.access_token)],
            ["token_type", "Bearer"],
            ["expires_in", String(result.expires_in)],
            ["scope", result.scope],
            ["state", state],
            ["iss", issuer],
            ["id_token", result.id_token && reveal(result.id_token)],
          ];
  return appendTo(redirect_uri, parameters, result.response_type === "token" ? "#" : "?");
}

const UNRESERVED = /^[A-Za-z0-9._~-]*$/;

/** Percent-encodes as RFC 3986 asks, so that every byte of `state` survives every decoder (a space is %20, never +). */
function appendTo(redirect_uri: string, parameters: readonly [string, string | undefined][], mark: "?" | "#"): Secret {
  const encoded = parameters
    .filter((pair): pair is [string, string] => pair[1] !== undefined)
    .map(([name, value]) => `${name}=${UNRESERVED.test(value) ? value : encodeURIComponent(value)}`)
    .join("&");
  if (mark === "#") return secret(`${redirect_uri}#${encoded}`);
  const separator = redirect_uri.includes("?") ? (/[?&]$/.test(redirect_uri) ? "" : "&") : "?";
  return secret(`${redirect_uri}${separator}${encoded}`);
}
