import { type Account, issuerOf } from "../directory/accounts/account.ts";
import { coverageOf, isPersonal } from "../directory/scopes.ts";
import { isHoldingOfUser } from "../directory/users/account-user.ts";
import { refuse } from "../errors.ts";
import { nameOne } from "../http/one-spelling.ts";
import { spaceSeparated } from "./space-separated.ts";

/** A bearer with this scope logs people in without their second factor. */
export const NO_MFA = "write:accounts:/auth/users/no-mfa";

/** A bearer with this scope gets a refresh token beside the access token of a login. */
export const REFRESH_SCOPE = "create:accounts:auth:refresh_token";

/** Asks for a login that lasts while its person is away (OpenID Connect Core §11). */
export const OFFLINE = "offline_access";

/** Scopes about the person, at userinfo (OpenID Connect Core §5.4, §11). */
export const identity_scopes = ["openid", "profile", "email", "phone", "address", OFFLINE];

/** Where userinfo is, below the issuer. */
export const USERINFO = "/oauth/userinfo";

/** Audience of tokens that are for userinfo alone. */
export const userinfoAudience = (public_url: string, account_id: string) =>
  `${issuerOf(public_url, account_id)}${USERINFO}`;

/**
 * What a login is for, under the address of now: userinfo below a name that the account gave its API, as its former
 * address, is userinfo here.
 */
export function audienceNow(public_url: string, { account_id, settings }: Account, audience: string): string {
  const api = audience.endsWith(USERINFO) ? audience.slice(0, -USERINFO.length) : "";
  return settings.api_audiences.some((name) => nameOne([name, api]))
    ? userinfoAudience(public_url, account_id)
    : audience;
}

/**
 * The scopes that a request gets out of a grant: all of them when it names none, else exactly those it names. `openid` asks
 * for an ID token; it is never refused and never narrows, and named beside others it is got where it was granted (OpenID Connect
 * Core §3.1.2.1).
 *
 * @throws 400 invalid_scope.
 */
export function narrowScope(granted: readonly string[], requested: string | undefined): readonly string[] {
  const named = spaceSeparated(requested);
  const narrowing = named.filter((scope) => scope !== "openid");
  if (narrowing.length === 0) return granted;
  const given = new Set(granted);
  if (narrowing.some((scope) => !given.has(scope))) throw refuse("invalid_scope");
  return [...new Set(named)].filter((scope) => given.has(scope));
}

/** Whether a client's grant gives a scope: at the account API one of its scopes may cover it. */
export function givenBy(grant_scope: readonly string[], at_account_api: boolean): (scope: string) => boolean {
  if (at_account_api) return coverageOf(grant_scope);
  const given = new Set(grant_scope);
  return (scope) => given.has(scope);
}

/**
 * The scopes that a person's token gets out of a client's grant. A person never inherits a client's power: at the account
 * API only personal scopes, `user:*` and `public:*` pass, and what both the grant and that person hold. At any other audience
 * the grant's scopes pass whole, since their meaning is that API's own.
 */
export function personScope(
  grant_scope: readonly string[],
  at_account_api: boolean,
  own_scope: readonly string[] = [],
): readonly string[] {
  if (!at_account_api) return grant_scope;
  const isOwn = coverageOf(own_scope);
  const granted = grant_scope.filter((scope) => isPersonal(scope) || isOwn(scope));
  const own = own_scope.filter(coverageOf(grant_scope));
  return [...new Set([...granted, ...own])];
}

/**
 * What of a person's scopes counts at the account API. More than personal ones come with the names of what the person holds
 * there; without such a name they were given while the audience was another API's, where the grant's scopes pass whole.
 */
export function countedScope(scope: readonly string[], holds: readonly string[] = []): readonly string[] {
  if (holds.some(isHoldingOfUser)) return scope;
  return scope.filter((one) => isPersonal(one) || identity_scopes.includes(one));
}
