import type { Directory } from "../../directory/directory.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { beginEndings, finishEndings, leaveOlder, newEnding } from "./endings.ts";
import type { Session } from "./session.ts";
import { type PersonsSessions, selectUnendedOf, updateEnded } from "./store.ts";

/** Somebody of whom some sessions end. */
type Person = Pick<Session, "account_id" | "user_id">;

/**
 * Ends sessions of a person, as many as one statement takes, and then everything they led to, page by page; clients that asked
 * for it are told (OpenID Connect Back-Channel Logout). What has ended already is passed over.
 */
export async function endSessions(
  directory: Directory,
  { account_id, user_id }: Person,
  ids: readonly string[],
): Promise<void> {
  const { storage, revocations } = directory;
  const left = await storage.write(async (tx) => {
    const now = storage.now();
    const ended = await updateEnded(tx.db, account_id, ids, instant(now));
    const endings = ended.map((session_id) => newEnding(account_id, session_id, user_id));
    const { led, left } = await beginEndings(tx, endings, now);
    await revocations.record(tx, account_id, led);
    return left;
  });
  if (left) await finishEndings(directory, { account_id, user_id });
}

/** As many as one statement takes. */
const NEWEST = 500;

/**
 * Ends every session of a person but that which led to the login that goes on (empty for none): part of the transaction
 * that has noted it in their row, by which nobody is logged in by them any more. The newest end here, whatever the
 * clock by which they began, with the first page of what they led to; the rest after that transaction, and older
 * refresh tokens, where there are more than have ended in it.
 *
 * @returns the first page, for the same transaction to revoke.
 */
export async function endSessionsOf(
  tx: Transaction,
  directory: Directory,
  { account_id, user_id, except, more_families }: PersonsSessions & { readonly more_families: boolean },
  now: number,
): Promise<readonly string[]> {
  const whose = { account_id, user_id, except };
  const some = await selectUnendedOf(tx.db, whose, "id", NEWEST + 1);
  const more = some.length > NEWEST;
  // Before any of them is held, as by whoever ends the older ones.
  if (more || more_families) await leaveOlder(tx, { account_id, user_id });
  const newest = more ? await selectUnendedOf(tx.db, whose, "created_at desc", NEWEST) : some;
  const ended = newest.length > 0 ? await updateEnded(tx.db, account_id, newest, instant(now)) : [];
  const endings = ended.map((id) => newEnding(account_id, id, user_id));
  const { led, left } = await beginEndings(tx, endings, now);
  // Where it fails, or the process ends first, the janitor goes on.
  if (left || more || more_families)
    tx.onDisk(() => void finishEndings(directory, { account_id, user_id }).catch(() => {}));
  return led;
}
