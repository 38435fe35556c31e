import { recordDeed } from "../../audit/audit.ts";
import { noSuch } from "../../errors.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { type Database, instant } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import { findLiveOf, findRolesOf } from "../roles/find-role.ts";
import { sameSet } from "../same-set.ts";
import {
  type AccountUser,
  type AccountUserProfile,
  type Agreement,
  holdingOfUser,
  holdingsOf,
} from "./account-user.ts";
import { replaceUserRoles, selectAccountUser, selectRoleIds, updateAccountUser } from "./account-user-store.ts";
import { checkHeld } from "./check-held.ts";
import { findAccountUser } from "./find-account-user.ts";
import { holdUser } from "./store.ts";

export interface AccountUserFields {
  readonly name?: string | undefined;
  readonly scope?: readonly string[] | undefined;
  readonly role_ids?: readonly string[] | undefined;
  readonly agreement?: Agreement | undefined;
}

/**
 * Sets what the change names and leaves the rest. When it changes what the user holds, tokens that carry the old scopes stop.
 *
 * @throws 404 not_found; 400 invalid_request when they would hold too much.
 */
export async function changeAccountUser(
  directory: Directory,
  user: AccountUser,
  { name, scope, role_ids, agreement }: AccountUserFields,
  actor: Actor,
): Promise<AccountUser> {
  const { account_id, id } = user;
  const milliseconds = directory.storage.now();
  const now = instant(milliseconds);
  // Before anybody is held: their roles may be a hundred, of two hundred scopes each.
  const roles = role_ids === undefined ? user.roles : await findRolesOf(directory, account_id, role_ids);
  checkHeld([{ scope: scope ?? user.scope }, ...roles], holdingsOf(user).scope.length);
  await directory.storage.write(async (tx) => {
    const held = await holdUser(tx.db, account_id, id);
    if (held === undefined) throw noSuch("user");
    const profile = JSON.parse(held.profile) as AccountUserProfile;
    const holdsAnew = await holdsOther(directory, tx.db, user, { scope, role_ids });
    const scope_version = holdsAnew ? uuidv7(milliseconds) : profile.scope_version;
    await updateAccountUser(
      tx.db,
      account_id,
      id,
      {
        ...(name === undefined ? {} : { name }),
        ...(scope === undefined ? {} : { scope: [...new Set(scope)] }),
        profile: { ...profile, ...(agreement === undefined ? {} : { agreement }), scope_version },
      },
      now,
    );
    if (role_ids) await replaceUserRoles(tx.db, account_id, id, role_ids);
    const before = holdingOfUser(id, profile.scope_version);
    if (holdsAnew) await directory.revocations.record(tx, account_id, [before]);
    await recordDeed(tx, { account_id, action: "user.changed", entity: id, now, actor });
  });
  return findAccountUser(directory, account_id, id);
}

/** Whether these are other scopes or roles than the user has; a role that is gone is none. */
async function holdsOther(
  directory: Directory,
  db: Database,
  { account_id, id }: AccountUser,
  { scope, role_ids }: Pick<AccountUserFields, "scope" | "role_ids">,
): Promise<boolean> {
  if (scope !== undefined) {
    const held = await selectAccountUser(db, account_id, { id });
    if (!held || !sameSet(scope, held.scope)) return true;
  }
  if (role_ids === undefined) return false;
  const given = (await selectRoleIds(db, account_id, [id])).get(id) ?? [];
  return !sameSet(role_ids, await findLiveOf(directory, account_id, given, db));
}
