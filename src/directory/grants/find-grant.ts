import { noSuch, refuse } from "../../errors.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import type { Account } from "../accounts/account.ts";
import { lookUpAccount } from "../accounts/find-account.ts";
import type { Client } from "../clients/client.ts";
import type { Directory } from "../directory.ts";
import { lookUpAt } from "../judge.ts";
import { isSameAudience, type Named } from "./audience.ts";
import type { Grant, GrantType } from "./grant.ts";
import { grantsOf, openTo, withPublic } from "./grants-of.ts";
import { type GrantFilter, pagesOfGrants, selectGrant, selectGrants, selectScopesSince } from "./store.ts";

/**
 * The client's grant for an audience that serves a flow of this type; of several that `matchGrant` does not tell apart the
 * one that names the very audience, else the first made. A grant that names any alias of an audience serves all of them.
 *
 * @throws 403 unauthorized_client.
 */
export async function findGrant(
  directory: Directory,
  account: Account,
  client: Client,
  audience: string,
  type: Exclude<GrantType, "any">,
): Promise<Grant> {
  const grant = await lookUpGrant(directory, account, client, audience, type);
  if (!grant) {
    throw refuse("unauthorized_client", {
      message: `The client holds no grant of type ${type} or any for this audience.`,
    });
  }
  return grant;
}

export async function lookUpGrant(
  directory: Directory,
  account: Account,
  client: Client,
  audience: string,
  type: Exclude<GrantType, "any">,
): Promise<Grant | undefined> {
  return pickGrant(directory, client, (grants) => matchGrant(directory, account, grants, audience, type));
}

/** One of the client's grants, also of those that another process granted a moment ago. */
export function pickGrant(
  directory: Directory,
  client: Client,
  pick: (grants: readonly Grant[]) => Grant | undefined,
): Promise<Grant | undefined> {
  return lookUpAt(directory, client, async (current) => pick(await grantsOf(directory, current)));
}

/** What a login came by. */
export interface CameBy {
  /** Empty where that is what the account gives all that registered themselves, which has no row. */
  readonly grant_id: string;
  readonly audience: string;
}

/**
 * The grant of a login, while it is for the login's audience: a name that is taken out of the account API's is another
 * API's from then on, and so is a grant that names it.
 */
export async function lookUpGrantOf(
  directory: Directory,
  account: Account,
  client: Client,
  { grant_id, audience }: CameBy,
): Promise<Grant | undefined> {
  if (grant_id === "") return lookUpGrant(directory, account, client, audience, "authorization_code");
  const is_meant = (grant: Grant) => isSameAudience(account, directory.public_url, grant.audience, audience);
  return pickGrant(directory, client, (grants) => grants.find((grant) => grant.id === grant_id && is_meant(grant)));
}

/**
 * Pure: which of these grants serves an audience and type. One of that very type was made for the flow, and comes before
 * one of any type, as a client's own comes before what the account gives all that registered themselves. One with a
 * provider is for logins there, and comes last.
 */
export function matchGrant<G extends Pick<Grant, "audience" | "type"> & Partial<Pick<Grant, "id" | "oidc">>>(
  directory: Directory,
  account: Account,
  grants: readonly G[],
  audience: string,
  type: Exclude<GrantType, "any">,
): G | undefined {
  const find = (fits: (grant: G) => boolean) => findFor(account, directory.public_url, grants, audience, fits);
  return (
    find((grant) => grant.type === type && !grant.oidc && grant.id !== "") ??
    find((grant) => grant.type === "any") ??
    find((grant) => grant.type === type && !grant.oidc) ??
    find((grant) => grant.type === type)
  );
}

/** Pure: of grants that fit the one that names this audience, else the first that names it by an alias. */
function findFor<G extends Pick<Grant, "audience">>(
  account: Named,
  public_url: string,
  grants: readonly G[],
  audience: string,
  fits: (grant: G) => boolean,
): G | undefined {
  return (
    grants.find((grant) => grant.audience === audience && fits(grant)) ??
    grants.find((grant) => fits(grant) && isSameAudience(account, public_url, grant.audience, audience))
  );
}

/** What a flow looks for in a grant. */
export type Asked = Pick<Grant, "audience" | "type">;

/**
 * Pure: of these grants the one for this audience and very type. One with a provider stands in nobody's way, as logins there
 * are a way of their own.
 */
export function matchSame(account: Named, public_url: string, grants: readonly Grant[], { audience, type }: Asked) {
  return findFor(account, public_url, grants, audience, (grant) => grant.type === type && !grant.oidc);
}

/**
 * What the account lets every client that registered itself ask people for at one audience, at most 5 s old, or as
 * committed; undefined where it lets them nothing there.
 */
export async function lookUpPublicGrant(
  directory: Directory,
  account_id: string,
  audience: string,
  read: (directory: Directory, account_id: string) => Promise<Account | undefined> = lookUpAccount,
): Promise<Pick<Grant, "audience" | "scope"> | undefined> {
  const account = await read(directory, account_id);
  return account && matchGrant(directory, account, openTo(account), audience, "authorization_code");
}

/**
 * All that a client may ask for, as committed: its own grants, and what the account gives every client that registered
 * itself.
 */
export async function listHeld(directory: Directory, client: Client): Promise<readonly Grant[]> {
  return withPublic(directory, client, await listGrants(directory, client.account_id, { client_id: client.id }));
}

/** As committed. @throws 404 not_found. */
export async function findGrantById(directory: Directory, account_id: string, id: string): Promise<Grant> {
  const grant = await selectGrant(directory.storage.read, account_id, id);
  if (!grant) throw noSuch("grant");
  return grant;
}

/** In pages, as committed. */
export function pageGrants(
  { storage }: Directory,
  account_id: string,
  filter: GrantFilter,
): AsyncIterable<readonly Grant[]> {
  return pagesOfGrants(storage.read, account_id, filter);
}

/** As committed. */
export function listGrants(
  { storage }: Pick<Directory, "storage">,
  account_id: string,
  filter: GrantFilter,
): Promise<readonly Grant[]> {
  return selectGrants(storage.read, account_id, filter);
}

/** What grants give that came or changed at an instant or later, as a transaction sees them; `limit` of them at most. */
export function listScopesSince(
  db: Database,
  account_id: string,
  audiences: readonly string[],
  since: Instant,
  limit: number,
): Promise<readonly Pick<Grant, "scope">[]> {
  return selectScopesSince(db, account_id, audiences, since, limit);
}
