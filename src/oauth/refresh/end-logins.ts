import { endSessionsOf } from "../../authentication/sessions/sessions.ts";
import type { Directory } from "../../directory/directory.ts";
import { noteLoginsEnded } from "../../directory/users/logins-ended.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { selectFamiliesOf } from "./store.ts";

interface PersonsLogins {
  readonly account_id: string;
  readonly user_id: string;
  /** `sid` of the one that goes on; empty for none. */
  readonly except: string;
}

/**
 * Ends every login of a person but the one at hand, because their password has changed: part of that transaction, once it
 * holds the password's row, for which whoever logs in by the one before waits. Then it holds the person's, for which
 * whoever else logs in waits, and looks for what they have begun. Browsers in which they are logged in are logged out;
 * what nothing tells of ends by the time at which it began.
 */
export async function endOtherLogins(
  tx: Transaction,
  { storage, revocations }: Directory,
  { account_id, user_id, except }: PersonsLogins,
): Promise<void> {
  const now = storage.now();
  await noteLoginsEnded(tx, { account_id, user_id }, instant(now));
  const led = await endSessionsOf(tx, { account_id, user_id, except }, now);
  const lasting = await selectFamiliesOf(tx.db, { account_id, user_id });
  const ended = lasting.filter((sid) => sid !== except).map((sid) => `sid:${sid}`);
  await revocations.record(tx, account_id, [...led, ...ended]);
  await revocations.endLogins(tx, account_id, { user_id, except }, now);
}

/** As `endOtherLogins`, for whoever sets the password in a person's place: none goes on. */
export const endLoginsOf = (
  tx: Transaction,
  directory: Directory,
  { account_id, user_id }: { readonly account_id: string; readonly user_id: string },
): Promise<void> => endOtherLogins(tx, directory, { account_id, user_id, except: "" });
