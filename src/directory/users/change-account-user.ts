import { recordDeed } from "../../audit/audit.ts";
import { refuse } from "../../errors.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { instant } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import { type AccountUser, type Agreement, holdingOfUser } from "./account-user.ts";
import { findAccountUser } from "./find-account-user.ts";
import { replaceUserRoles, updateAccountUser } from "./store.ts";

export interface AccountUserFields {
  readonly name?: string | undefined;
  readonly scope?: readonly string[] | undefined;
  readonly role_ids?: readonly string[] | undefined;
  readonly agreement?: Agreement | undefined;
}

/**
 * Sets what the change names and leaves the rest. When it changes what the user holds, tokens that carry the old scopes stop.
 *
 * @throws 404 not_found.
 */
export async function changeAccountUser(
  directory: Directory,
  user: AccountUser,
  { name, scope, role_ids, agreement }: AccountUserFields,
  actor: Actor,
): Promise<AccountUser> {
  const { account_id, id, profile } = user;
  const milliseconds = directory.storage.now();
  const now = instant(milliseconds);
  const holdsAnew = scope !== undefined || role_ids !== undefined;
  const scope_version = holdsAnew ? uuidv7(milliseconds) : profile.scope_version;
  const change = {
    ...(name === undefined ? {} : { name }),
    ...(scope === undefined ? {} : { scope: [...new Set(scope)] }),
    profile: { ...profile, ...(agreement === undefined ? {} : { agreement }), scope_version },
  };
  const revoked = { account_id, subject: holdingOfUser(id, profile.scope_version) };
  await directory.storage.write(async (tx) => {
    if (!(await updateAccountUser(tx.db, account_id, id, change, now)))
      throw refuse("not_found", { message: "There is no such user." });
    if (role_ids) await replaceUserRoles(tx.db, account_id, id, [...new Set(role_ids)]);
    if (holdsAnew) await directory.revocations.record(tx, revoked);
    await recordDeed(tx, { account_id, action: "user.changed", entity: id, now, actor });
  });
  if (holdsAnew) directory.revocations.announce(revoked);
  return findAccountUser(directory, account_id, id);
}
