import { noSuch } from "../../errors.ts";
import { sha256Text } from "../../secrets/digest.ts";
import type { Database } from "../../storage/storage.ts";
import type { Directory } from "../directory.ts";
import { findRolesOf } from "../roles/find-role.ts";
import { type AccountUser, type Holders, type Holdings, holdingsOf } from "./account-user.ts";
import {
  type AccountUserFilter,
  type AccountUserRow,
  pagesOfScopes,
  selectAccountsOfAddress,
  selectAccountUser,
  selectLengthHeld,
  selectRoleIds,
} from "./account-user-store.ts";

/** As committed. @throws 404 not_found. */
export async function findAccountUser(directory: Directory, account_id: string, id: string): Promise<AccountUser> {
  const found = await lookUpAccountUser(directory, account_id, { id });
  if (!found) throw noSuch("user");
  return found;
}

/** Without a look at what they hold. @throws 404 not_found when there is no such user. */
export async function checkIsAccountUser({ storage }: Directory, account_id: string, id: string): Promise<void> {
  if (!(await selectAccountUser(storage.read, account_id, { id }))) throw noSuch("user");
}

/** By uuid or canonical address, as committed, or as a transaction sees it; undefined when there is none. */
export async function lookUpAccountUser(
  directory: Directory,
  account_id: string,
  filter: AccountUserFilter,
  db: Database = directory.storage.read,
): Promise<AccountUser | undefined> {
  const row = await selectAccountUser(db, account_id, filter);
  if (!row) return undefined;
  const ids = (await selectRoleIds(db, account_id, [row.id])).get(row.id) ?? [];
  return { ...row, roles: await findRolesOf(directory, account_id, ids, db) };
}

export interface BrieflyShown {
  readonly user: AccountUserRow;
  /** What they hold by own scope or role; undefined where that is longer. */
  readonly scope?: readonly string[];
}

/** As committed, and what they hold where that has no more characters than so many: else it is not read. */
export async function lookUpBriefly(
  directory: Directory,
  account_id: string,
  id: string,
  longest: number,
): Promise<BrieflyShown | undefined> {
  const { read } = directory.storage;
  const user = await selectAccountUser(read, account_id, { id });
  if (!user) return undefined;
  if ((await selectLengthHeld(read, account_id, id)) > longest) return { user };
  return { user, scope: (await findHoldings(directory, account_id, id)).scope };
}

/** What all of them hold, by themselves and by their roles: as committed, a page at a time, and equal lists once. */
export async function* pagesHeld(
  { storage: { read } }: Directory,
  account_id: string,
  holders: Holders,
): AsyncGenerator<readonly { readonly scope: readonly string[] }[]> {
  const seen = new Set<string>();
  const isNew = ({ scope }: { readonly scope: string }) => {
    const digest = sha256Text(scope);
    return !seen.has(digest) && seen.add(digest);
  };
  for await (const page of pagesOfScopes(read, account_id, holders))
    yield page.filter(isNew).map(({ scope }) => ({ scope: JSON.parse(scope) as string[] }));
}

const NOTHING: Holdings = { scope: [], holds: [] };

/** What a person holds at the account API by own scope or role, as committed; customers hold nothing. */
export async function findHoldings(directory: Directory, account_id: string, user_id: string): Promise<Holdings> {
  const user = await lookUpAccountUser(directory, account_id, { id: user_id });
  return user ? holdingsOf(user) : NOTHING;
}

/** Where this verified address is an account user; the one lookup that crosses accounts. */
export function findAccountsOfAddress({ storage }: Directory, email_canonical: string) {
  return selectAccountsOfAddress(storage.read, email_canonical);
}
