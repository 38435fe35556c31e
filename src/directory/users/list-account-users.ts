import { openBoundedMap } from "../../storage/bounded-map.ts";
import { inPages, slices } from "../../storage/pages.ts";
import { type Directory, searchInTurn } from "../directory.ts";
import { findLiveOf, findRolesOf } from "../roles/find-role.ts";
import { roleView } from "../roles/view.ts";
import {
  type AccountUserRow,
  searchAccountUsers,
  selectAccountUsers,
  selectAccountUsersById,
  selectRoleIds,
} from "./account-user-store.ts";

/** Users of a page, and roles that are read at once: what one of them holds may be forty thousand characters. */
const USERS = 10;
const ROLES = 5;
/** Roles of which a list remembers whether they live. */
const KNOWN = 1_000;
/** Characters of roles that a list keeps for those who have them too. */
const KEPT = 100_000;

export interface AccountUserQuery {
  /** Part of the address or name, whatever the case. */
  readonly search?: string | undefined;
  /** All of them without it. */
  readonly limit?: number | undefined;
  /** id of the last user of the page before. */
  readonly starting_after?: string | undefined;
}

/** In the order of ids, as committed. @throws 503 temporarily_unavailable when too many search: before the first. */
export async function* pagesOfAccountUsers(
  directory: Directory,
  account_id: string,
  { search, limit = Number.POSITIVE_INFINITY, starting_after }: AccountUserQuery,
): AsyncGenerator<readonly AccountUserRow[]> {
  const { read } = directory.storage;
  if (search !== undefined) {
    // One turn for all: a list that has begun could no longer be refused another.
    const ids = await searchInTurn(directory, account_id, () =>
      searchAccountUsers(read, account_id, { text: search, limit, starting_after }),
    );
    for (const some of slices(ids, USERS)) yield await selectAccountUsersById(read, account_id, some);
    return;
  }
  let left = limit;
  yield* inPages<AccountUserRow>(USERS, async (last) => {
    const page = { limit: Math.min(left, USERS), starting_after: last?.id ?? starting_after };
    const rows = left > 0 ? await selectAccountUsers(read, account_id, page) : [];
    left -= rows.length;
    return rows;
  });
}

/** Of a list: the ids of the live roles that each of these users has, in their order. */
export function openHeldRoles(directory: Directory, account_id: string) {
  const areLive = openLiveRoles(directory, account_id);
  return async (user_ids: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> => {
    const held = await selectRoleIds(directory.storage.read, account_id, user_ids);
    const live = await areLive([...held.values()].flat());
    return new Map([...held].map(([id, role_ids]) => [id, role_ids.filter((one) => live.has(one)).toSorted()]));
  };
}

/** Which of these roles live; without a look at what is in them. */
function openLiveRoles(directory: Directory, account_id: string) {
  const known = openBoundedMap<boolean>(KNOWN);
  return async (ids: readonly string[]): Promise<ReadonlySet<string>> => {
    const named = new Set(ids);
    const unknown = [...named].filter((id) => !known.has(id));
    const live = new Set([...named].filter((id) => known.get(id)));
    for (const id of await findLiveOf(directory, account_id, unknown)) live.add(id);
    for (const id of unknown) known.set(id, live.has(id), 0);
    return live;
  };
}

/** Of a list: the JSON of roles, one after the other. Made once for all who have a role, while there is room to keep it. */
export function openRoleTexts(directory: Directory, account_id: string) {
  const kept = openBoundedMap<string>(KNOWN, KEPT);
  return async function* (ids: readonly string[]): AsyncGenerator<string> {
    for (const some of slices(ids, ROLES)) {
      const texts = new Map(some.map((id) => [id, kept.get(id)]));
      const unknown = some.filter((id) => texts.get(id) === undefined);
      for (const role of await findRolesOf(directory, account_id, unknown)) {
        const text = JSON.stringify(roleView(role));
        texts.set(role.id, text);
        kept.set(role.id, text, text.length);
      }
      for (const text of texts.values()) if (text !== undefined) yield text;
    }
  };
}
