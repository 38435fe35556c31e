import { noSuch } from "../../errors.ts";
import { inPages, nextTurn, slices } from "../../storage/pages.ts";
import type { Database } from "../../storage/storage.ts";
import { type Directory, searchInTurn } from "../directory.ts";
import type { Role } from "./role.ts";
import {
  type RoleFilter,
  searchRoles,
  selectLengths,
  selectListed,
  selectLiveIds,
  selectRole,
  selectRoles,
  selectRolesById,
} from "./store.ts";

/** The live ones of these; as committed, or as a transaction sees them. */
export function findRolesOf(
  { storage }: Directory,
  account_id: string,
  ids: readonly string[],
  db: Database = storage.read,
): Promise<readonly Role[]> {
  return selectRolesById(db, account_id, [...new Set(ids)]);
}

/** The ids of the live ones of these; as committed, or as a transaction sees them. */
export function findLiveOf(
  { storage }: Directory,
  account_id: string,
  ids: readonly string[],
  db: Database = storage.read,
): Promise<readonly string[]> {
  return selectLiveIds(db, account_id, ids);
}

/** Roles that are read at once: the scope of each may be forty thousand characters. */
const PAGE = 5;

export interface RoleQuery extends RoleFilter {
  /** Part of the id, name or description, whatever the case. */
  readonly search?: string | undefined;
}

/** In the order of their ids, as committed. */
export async function* pagesOfRoles(
  directory: Directory,
  account_id: string,
  { search, ...filter }: RoleQuery,
): AsyncGenerator<readonly Role[]> {
  const { read } = directory.storage;
  if (search !== undefined) {
    const ids = await searchInTurn(directory, account_id, () =>
      searchRoles(read, account_id, { ...filter, text: search }),
    );
    for (const some of slices(ids, PAGE)) yield await selectListed(read, account_id, filter, some);
    return;
  }
  let left = filter.limit;
  yield* inPages<Role>(PAGE, async (last) => {
    const page = { ...filter, limit: Math.min(left, PAGE), starting_after: last?.id ?? filter.starting_after };
    const rows = left > 0 ? await selectRoles(read, account_id, page) : [];
    left -= rows.length;
    return rows;
  });
}

/** How many characters the scopes of each live one of these have, without a look at what they are; as committed. */
export async function findLengthsOf(
  { storage }: Directory,
  account_id: string,
  ids: readonly string[],
): Promise<readonly number[]> {
  const lengths: number[] = [];
  for (const some of slices([...new Set(ids)], PAGE)) {
    lengths.push(...(await selectLengths(storage.read, account_id, some)));
    await nextTurn();
  }
  return lengths;
}

/** As committed. @throws 404 not_found. */
export async function findRole({ storage }: Directory, account_id: string, id: string): Promise<Role> {
  const role = await selectRole(storage.read, account_id, id);
  if (!role) throw noSuch("role");
  return role;
}

/** All of them, as committed. @throws 404 not_found when one is missing. */
export async function findRoles(
  { storage }: Directory,
  account_id: string,
  ids: readonly string[],
): Promise<readonly Role[]> {
  const distinct = [...new Set(ids)];
  const roles = await selectRolesById(storage.read, account_id, distinct);
  if (roles.length < distinct.length) throw noSuch("role");
  return roles;
}
