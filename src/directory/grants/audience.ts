import { oneSpelling, spellingsOf } from "../../http/one-spelling.ts";
import { type Account, issuerOf, ownerOf } from "../accounts/account.ts";

/** What the server binds codes of its own to begins so; no grant names it. */
export const OWN_AUDIENCES = "urn:latchkey:";

const HOSTED_LOGINS = `${OWN_AUDIENCES}login:`;

/** What a code of the hosted login is bound to: one login of one browser. */
export const hostedLogin = (request_id: string): string => `${HOSTED_LOGINS}${request_id}`;

/** The host whose pages a code of this audience is entered on; undefined where those are not ours. */
export function pageHost(public_url: string, audience: string): string | undefined {
  return audience.startsWith(HOSTED_LOGINS) ? new URL(public_url).hostname : undefined;
}

/** What an account's names follow from. */
export type Named = Pick<Account, "account_id" | "settings">;

/**
 * An audience is an opaque string, save for the account API: its issuer, the names that its clients were written with and
 * the account's own `api_audiences` are aliases of one audience. So are the two spellings of the root of a host, whichever of
 * them the account named.
 */
export function isAccountApi(account: Named, public_url: string, audience: string): boolean {
  return namesOf(account, public_url).has(audience);
}

/**
 * Whether a grant of this account for an audience gives scopes of an account API: of its own or, for an owner, of an account
 * under it (also one that is still to be made), where its clients get the scopes of the grant that names that account.
 */
export function isAnAccountApi(account: Account, public_url: string, audience: string): boolean {
  if (isAccountApi(account, public_url, audience)) return true;
  const account_id = audience.slice(-9);
  return ownerOf(account_id) === account.account_id && isAccountUrl(account_id, public_url, audience);
}

/** Whether it is a URL of this account: none of the names that the account itself gave its API by `api_audiences`. */
export function isAccountUrl(account_id: string, public_url: string, audience: string): boolean {
  return aliases(public_url, account_id).includes(audience);
}

/** Every URL of an account, none of the names that it gave its API itself. */
export function urlsOf(account_id: string, public_url: string): readonly string[] {
  const short = account_id.endsWith("00000") ? [account_id.slice(0, 4)] : [];
  return [account_id, ...short].flatMap((id) => aliases(public_url, id));
}

/** Every name of an audience, in every spelling. */
export function audiencesOf(account: Named, public_url: string, audience: string): readonly string[] {
  return isAccountApi(account, public_url, audience) ? [...namesOf(account, public_url)] : spellingsOf(audience);
}

/** An account is read again when it changes, so what was worked out for one may be kept as long as it is. */
const names = new WeakMap<Named, ReadonlySet<string>>();

function namesOf(account: Named, public_url: string): ReadonlySet<string> {
  const { account_id, settings } = account;
  const named = () => [...settings.api_audiences, ...urlsOf(account_id, public_url)].flatMap(spellingsOf);
  const known = names.get(account) ?? new Set(named());
  names.set(account, known);
  return known;
}

function aliases(public_url: string, id: string): string[] {
  const { host } = new URL(public_url);
  return [
    issuerOf(public_url, id),
    `https://api.dintero.com/v1/accounts/${id}`,
    `https://${id}@api.dintero.com/v1/accounts/${id}`,
    `https://${id}@${host}/v1/accounts/${id}`,
  ];
}

/** One name for an audience, whatever alias of it was asked for. */
export function canonicalAudience(account: Named, public_url: string, audience: string): string {
  return isAccountApi(account, public_url, audience) ? issuerOf(public_url, account.account_id) : oneSpelling(audience);
}

/** Whether two names are of one audience. */
export function isSameAudience(account: Named, public_url: string, one: string, other: string): boolean {
  return canonicalAudience(account, public_url, one) === canonicalAudience(account, public_url, other);
}
