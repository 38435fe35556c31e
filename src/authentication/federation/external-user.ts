import type { JWTPayload } from "jose";
import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import type { AccountUser } from "../../directory/users/account-user.ts";
import { lookUpAccountUser } from "../../directory/users/find-account-user.ts";
import { canonicalEmail } from "../../directory/users/identifier.ts";
import { type Documents, PATIENCE } from "../../egress/documents.ts";
import { verifyIdToken } from "./verify-id-token.ts";

export interface ExternalLogin {
  readonly user: AccountUser;
  /** Seconds since the epoch; when their provider says so, else when it issued the token. */
  readonly authenticated_at: number;
}

/**
 * The account user whom an ID token of the account's own provider names: signed by a key of `jwks.uri`, issued by
 * `jwks.issuer` for this account, with the address of a user whose authentication_type is external. Nobody otherwise, also
 * where the token says that the address is not verified.
 *
 * `names`: what this account itself is called as an audience. A provider that writes one of them has said whom the token is
 * for, whichever of its clients it was issued to. What it calls a client of its own (`jwks.audience`) says no more than that
 * client may know: other clients' tokens can name it too.
 */
export async function lookUpExternalUser(
  directory: Directory,
  documents: Documents,
  { account_id, settings }: Account,
  names: readonly string[],
  id_token: string,
): Promise<ExternalLogin | undefined> {
  const { jwks } = settings;
  if (jwks === null) return undefined;
  const audience = [...names, jwks.audience ?? []].flat();
  const now = directory.storage.now();
  const expected = { issuer: jwks.issuer, audience, by_any_client: names, jwks_uri: jwks.uri, now };
  const claims = await verifyIdToken(documents, id_token, expected, AbortSignal.timeout(PATIENCE));
  const { email, email_verified } = claims;
  const canonical = typeof email === "string" ? canonicalEmail(email) : undefined;
  // The provider is the account's own, so what it does not say is no reason to doubt it; some write the word.
  const unsure = email_verified !== undefined && email_verified !== true && email_verified !== "true";
  if (canonical === undefined || unsure) return undefined;
  const user = await lookUpAccountUser(directory, account_id, { email_canonical: canonical });
  if (user?.profile.authentication_type !== "external") return undefined;
  return { user, authenticated_at: authenticatedAt(claims) };
}

/** A provider may hand out an ID token long after somebody logged in (OpenID Connect Core §2, `auth_time`). */
function authenticatedAt({ auth_time, iat }: JWTPayload): number {
  const issued = iat as number;
  return typeof auth_time === "number" ? Math.min(auth_time, issued) : issued;
}
