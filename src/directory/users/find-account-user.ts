import { noSuch } from "../../errors.ts";
import { sha256Text } from "../../secrets/digest.ts";
import { type Database, instant } from "../../storage/storage.ts";
import type { Client } from "../clients/client.ts";
import type { Directory } from "../directory.ts";
import { findRolesOf } from "../roles/find-role.ts";
import { type AccountUser, type Holders, type Holdings, holdingsOf } from "./account-user.ts";
import {
  type AccountUserFilter,
  pagesOfScopes,
  selectAccountsOfAddress,
  selectAccountUser,
  selectRoleIds,
} from "./account-user-store.ts";
import { updateLastSeen } from "./store.ts";

/** As committed. @throws 404 not_found. */
export async function findAccountUser(directory: Directory, account_id: string, id: string): Promise<AccountUser> {
  const found = await lookUpAccountUser(directory, account_id, { id });
  if (!found) throw noSuch("user");
  return found;
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
  const ids = (await selectRoleIds(db, account_id, [row.id])).map(({ role_id }) => role_id);
  return { ...row, roles: await findRolesOf(directory, account_id, ids, db) };
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

/** How often it is noted that somebody was seen; milliseconds. */
const SEEN_RESOLUTION = 60_000;

/** A person of this account got a token. They have it whether that can be noted or not. */
export async function noteSeen({ storage }: Directory, account_id: string, id: string): Promise<void> {
  const now = storage.now();
  const [before, at] = [instant(now - SEEN_RESOLUTION), instant(now)];
  await storage.write(({ db }) => updateLastSeen(db, storage.engine, { account_id, id }, before, at)).catch(() => {});
}

/** As `noteSeen`, for whoever comes by a client; one of customers notes nobody. */
export async function noteSeenAt(
  directory: Directory,
  { account_id, settings }: Client,
  user_id: string,
): Promise<void> {
  if (settings.user_type === "account_user") await noteSeen(directory, account_id, user_id);
}

/** Where this verified address is an account user; the one lookup that crosses accounts. */
export function findAccountsOfAddress({ storage }: Directory, email_canonical: string) {
  return selectAccountsOfAddress(storage.read, email_canonical);
}
