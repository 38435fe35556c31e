import { recordDeed } from "../../audit/audit.ts";
import { noSuch } from "../../errors.ts";
import { type Instant, instant, type Transaction } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import { deleteUser } from "./store.ts";
import type { User } from "./user.ts";

/**
 * Deletes a user: nothing new is issued for them from the moment this resolves, and what was issued stops. Their address is
 * free again.
 *
 * @throws 404 not_found.
 */
export async function removeUser(directory: Directory, user: User, actor: Actor): Promise<User> {
  const now = instant(directory.storage.now());
  return directory.storage.write((tx) => removeUserIn(tx, directory, user, actor, now));
}

/** As `removeUser`, part of a transaction. */
export async function removeUserIn(
  tx: Transaction,
  { revocations }: Directory,
  { account_id, id }: User,
  actor: Actor,
  now: Instant,
): Promise<User> {
  const row = await deleteUser(tx.db, account_id, id, actor.id, now);
  if (!row) throw noSuch("user");
  await revocations.record(tx, account_id, [`user:${id}`]);
  await recordDeed(tx, { account_id, action: "user.deleted", entity: id, now, actor });
  return row;
}
