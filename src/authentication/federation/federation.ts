/**
 * Logins that another server vouches for: an upstream OpenID provider that a grant names, and the account's own provider of
 * external account users. Nothing it says is believed before its signature, issuer, audience and time are checked.
 *
 * In: a code of the provider, or an ID token. Out: an `AuthenticatedSubject`. People are linked by issuer and `sub`; a first
 * login joins an existing user only by an address that the provider verified and whose domain the grant trusts.
 *
 * OpenID Connect Core §3.1.3, OpenID Connect Discovery §4.
 */
import type { JWTPayload } from "jose";
import type { Refusal } from "../../errors.ts";

/** What a provider says about a person; `sub` and `iss` are always there. */
export type UpstreamClaims = JWTPayload & { readonly iss: string; readonly sub: string };

/** Somebody who logged in at a provider. */
export interface UpstreamPerson {
  readonly claims: UpstreamClaims;
  /** Why nobody knows whether they have an address there: the provider tells it elsewhere, and that could not be read. */
  readonly untold?: Refusal | undefined;
}
