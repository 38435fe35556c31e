import { refuseField } from "../../errors.ts";
import { sha256Text } from "../../secrets/digest.ts";
import { openBoundedMap } from "../../storage/bounded-map.ts";
import { nextTurn, slices } from "../../storage/pages.ts";
import type { Directory } from "../directory.ts";
import { findRolesOf } from "../roles/find-role.ts";
import type { Role } from "../roles/role.ts";
import { MOST_SCOPES } from "../scopes-schema.ts";
import { pagesOfHolders, selectOwnScopes, selectRoleIds } from "./account-user-store.ts";
import { pagesHeld } from "./find-account-user.ts";

type Holding = Pick<Role, "scope">;

/**
 * An account user holds as many different scopes, by themselves and by their roles, as a client's grant gives.
 *
 * @throws 400 invalid_request when these are more than one user may hold, and more than `before`.
 */
export function checkHeld(held: readonly Holding[], before = 0): void {
  const { size } = new Set(held.flatMap(({ scope }) => scope));
  if (size <= MOST_SCOPES || size <= before) return;
  const message = `give ${size} different scopes, the user's own among them; ${MOST_SCOPES} is the limit`;
  throw refuseField("roles", "too_many", message);
}

/** … of whoever has a role, once it gives these scopes; in its account's turn. @throws 400 invalid_request. */
export async function checkHolders(directory: Directory, role: Role, scope: readonly string[]): Promise<void> {
  const before = new Set(role.scope);
  if (scope.every((one) => before.has(one))) return;
  await checkEach(directory, role, scope);
}

/** Users who are looked at together, and roles of one: the scopes of each may be forty thousand characters. */
const USERS = 50;
const ROLES = 5;

async function checkEach(directory: Directory, role: Role, scope: readonly string[]): Promise<void> {
  const { account_id } = role;
  if (await holdFew(directory, account_id, scope)) return;
  const { read } = directory.storage;
  const judged = openBoundedMap<true>();
  for await (const page of pagesOfHolders(read, account_id, role.id)) {
    for (const some of slices(page, USERS)) {
      const ids = some.map(({ user_id }) => user_id);
      const held = await selectRoleIds(read, account_id, ids);
      for (const user of await selectOwnScopes(read, account_id, ids)) {
        const role_ids = (held.get(user.id) ?? []).toSorted();
        // Most of them hold the same.
        const holdings = sha256Text(JSON.stringify([user.scope, role_ids]));
        if (judged.has(holdings)) continue;
        await checkHolder(directory, { ...user, role_ids }, role, scope);
        judged.set(holdings, true, 0);
      }
      await nextTurn();
    }
  }
}

interface Holder {
  readonly id: string;
  /** Their own, as it is stored. */
  readonly scope: string;
  readonly role_ids: readonly string[];
}

async function checkHolder(directory: Directory, holder: Holder, role: Role, scope: readonly string[]): Promise<void> {
  const own = JSON.parse(holder.scope) as string[];
  const [before, after] = [new Set(own), new Set(own)];
  for (const some of slices(holder.role_ids, ROLES)) {
    for (const one of await findRolesOf(directory, role.account_id, some)) {
      for (const given of one.scope) before.add(given);
      for (const given of one.id === role.id ? scope : one.scope) after.add(given);
    }
    await nextTurn();
  }
  const message = `would give the user ${holder.id} ${after.size} different scopes; ${MOST_SCOPES} is the limit`;
  if (after.size > MOST_SCOPES && after.size > before.size) throw refuseField("scope", "too_many", message);
}

/** Whether all that the account's users hold, with these, is so little that nobody can hold too much. */
async function holdFew(directory: Directory, account_id: string, scope: readonly string[]): Promise<boolean> {
  const all = new Set(scope);
  for await (const held of pagesHeld(directory, account_id, { external: false })) {
    for (const one of held.flatMap((holding) => holding.scope)) all.add(one);
    if (all.size > MOST_SCOPES) return false;
  }
  return true;
}
