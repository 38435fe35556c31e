import { inPages } from "../../storage/pages.ts";
import type { Directory } from "../directory.ts";
import { findRolesOf } from "../roles/find-role.ts";
import type { AccountUser } from "./account-user.ts";
import { type AccountUserRow, selectAccountUsers, selectRoleIds } from "./account-user-store.ts";

/** Users of a page, and roles that are read at once unless one user alone has more: each may hold forty thousand characters. */
const USERS = 50;
const ROLES = 100;

export interface AccountUserQuery {
  /** Part of the address or name, whatever the case. */
  readonly search?: string | undefined;
  /** All of them without it. */
  readonly limit?: number | undefined;
  /** id of the last user of the page before. */
  readonly starting_after?: string | undefined;
}

/** In the order of their ids, as committed, of whom no more are held at a time than their roles leave room for. */
export async function* pagesOfAccountUsers(
  directory: Directory,
  account_id: string,
  { search, limit = Number.POSITIVE_INFINITY, starting_after }: AccountUserQuery,
): AsyncGenerator<readonly AccountUser[]> {
  const { read } = directory.storage;
  let left = limit;
  const pages = inPages<AccountUserRow>(USERS, async (last) => {
    const page = { search, limit: Math.min(left, USERS), starting_after: last?.id ?? starting_after };
    const rows = left > 0 ? await selectAccountUsers(read, account_id, page) : [];
    left -= rows.length;
    return rows;
  });
  for await (const rows of pages) {
    const ids = rows.map(({ id }) => id);
    const held = new Map<string, string[]>(ids.map((id) => [id, []]));
    for (const { user_id, role_id } of await selectRoleIds(read, account_id, ids)) held.get(user_id)?.push(role_id);
    for (const some of inRoom(rows, held)) {
      const role_ids = some.flatMap(({ id }) => held.get(id) ?? []);
      const roles = new Map((await findRolesOf(directory, account_id, role_ids)).map((role) => [role.id, role]));
      yield some.map((row) => ({
        ...row,
        roles: (held.get(row.id) ?? []).toSorted().flatMap((id) => roles.get(id) ?? []),
      }));
    }
  }
}

function inRoom(
  rows: readonly AccountUserRow[],
  held: ReadonlyMap<string, readonly string[]>,
): readonly (readonly AccountUserRow[])[] {
  const groups: AccountUserRow[][] = [];
  let roles = new Set<string>();
  for (const row of rows) {
    const own = held.get(row.id) ?? [];
    const group = groups.at(-1);
    roles = new Set([...roles, ...own]);
    if (group && roles.size <= ROLES) {
      group.push(row);
    } else {
      groups.push([row]);
      roles = new Set(own);
    }
  }
  return groups;
}
