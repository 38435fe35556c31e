import type { Secret } from "../../secrets/secret.ts";
import { addAsFragment, addToQuery } from "../redirect-address.ts";
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
  switch (result.response_type) {
    case "authenticate":
      return addToQuery(redirect_uri, Object.entries({ id_token: result.id_token, state }));
    case "code":
      return addToQuery(redirect_uri, Object.entries({ code: result.code, state, iss: issuer }));
    case "token": {
      const { access_token, expires_in, scope, id_token } = result;
      const granted = { access_token, token_type: "Bearer", expires_in: String(expires_in), scope };
      return addAsFragment(redirect_uri, Object.entries({ ...granted, state, iss: issuer, id_token }));
    }
  }
}
