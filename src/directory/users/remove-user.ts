import { recordDeed } from "../../audit/audit.ts";
import { noSuch } from "../../errors.ts";
import { type Instant, instant, type Transaction } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import type { GoesOn } from "./logins-ended.ts";
import { deleteUser } from "./store.ts";
import type { User } from "./user.ts";

/**
 * Ends every login of a person but the one that goes on, in the browsers too, and tells their clients: part of a
 * transaction, which another wing does.
 */
export type EndLogins = (
  tx: Transaction,
  person: { readonly account_id: string; readonly user_id: string; readonly kept?: GoesOn | undefined },
) => Promise<void>;

/**
 * Deletes a user: nothing new is issued for them from the moment this resolves, and what was issued stops. Their address is
 * free again.
 *
 * @throws 404 not_found.
 */
export async function removeUser(directory: Directory, user: User, actor: Actor, endLogins: EndLogins): Promise<User> {
  const now = instant(directory.storage.now());
  return directory.storage.write((tx) => removeUserIn(tx, directory, user, actor, now, endLogins));
}

/** As `removeUser`, part of a transaction. */
export async function removeUserIn(
  tx: Transaction,
  { revocations }: Directory,
  { account_id, id }: User,
  actor: Actor,
  now: Instant,
  endLogins: EndLogins,
): Promise<User> {
  // While they live: whose logins are to be told of is looked for among the living.
  await endLogins(tx, { account_id, user_id: id });
  const row = await deleteUser(tx.db, account_id, id, actor.id, now);
  if (!row) throw noSuch("user");
  await revocations.record(tx, account_id, [`user:${id}`]);
  await recordDeed(tx, { account_id, action: "user.deleted", entity: id, now, actor });
  return row;
}
