import { refuseField } from "../../errors.ts";
import type { Directory } from "../directory.ts";
import type { Role } from "../roles/role.ts";
import { holdingsOf } from "./account-user.ts";
import { pagesOfHolders } from "./account-user-store.ts";
import { lookUpAccountUser, pagesHeld } from "./find-account-user.ts";

type Holding = Pick<Role, "scope">;

/**
 * Different scopes that an account user may hold, by themselves and by their roles: as many as a client's grant gives,
 * since their tokens name each of them.
 */
const MOST_HELD = 200;

/** @throws 400 invalid_request when these are more than one user may hold, and more than `before`. */
export function checkHeld(held: readonly Holding[], before = 0): void {
  const { size } = new Set(held.flatMap(({ scope }) => scope));
  if (size <= MOST_HELD || size <= before) return;
  const message = `give ${size} different scopes, the user's own among them; ${MOST_HELD} is the limit`;
  throw refuseField("roles", "too_many", message);
}

/** … of whoever has a role, once it gives these scopes. @throws 400 invalid_request. */
export async function checkHolders(directory: Directory, role: Role, scope: readonly string[]): Promise<void> {
  const before = new Set(role.scope);
  if (scope.every((one) => before.has(one))) return;
  // One look at an account at a time, since each takes turns from everybody.
  await directory.inTurn(role.account_id, () => checkEach(directory, role, scope));
}

async function checkEach(directory: Directory, { account_id, id }: Role, scope: readonly string[]): Promise<void> {
  if (await holdFew(directory, account_id, scope)) return;
  for await (const page of pagesOfHolders(directory.storage.read, account_id, id)) {
    for (const { user_id } of page) {
      const user = await lookUpAccountUser(directory, account_id, { id: user_id });
      if (!user) continue;
      const roles = user.roles.map((one) => (one.id === id ? { ...one, scope } : one));
      const { length } = holdingsOf({ ...user, roles }).scope;
      const message = `would give the user ${user_id} ${length} different scopes; ${MOST_HELD} is the limit`;
      if (length > MOST_HELD && length > holdingsOf(user).scope.length) throw refuseField("scope", "too_many", message);
    }
  }
}

/** Whether all that the account's users hold, with these, is so little that nobody can hold too much. */
async function holdFew(directory: Directory, account_id: string, scope: readonly string[]): Promise<boolean> {
  const all = new Set(scope);
  for await (const held of pagesHeld(directory, account_id, { external: false })) {
    for (const one of held.flatMap((holding) => holding.scope)) all.add(one);
    if (all.size > MOST_HELD) return false;
  }
  return true;
}
