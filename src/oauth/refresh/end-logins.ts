import { endSessionsOf } from "../../authentication/sessions/sessions.ts";
import type { Directory } from "../../directory/directory.ts";
import { type GoesOn, noteLoginsEnded } from "../../directory/users/logins-ended.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { selectNewestFamilies } from "./store.ts";

interface PersonsLogins {
  readonly account_id: string;
  readonly user_id: string;
  /** The one that goes on. */
  readonly kept?: GoesOn;
}

/**
 * The newest logins end one by one as well, whatever the clock of the process says by which they began. Older ones, of
 * which there may be very many, end by when they began, which their person's row says at once.
 */
const NAMED = 500;

/**
 * Ends every login of a person but the one at hand, because their password has changed: part of that transaction, once it
 * holds the password's row, for which whoever logs in by the one before waits. Then it holds the person's, for which
 * whoever else logs in waits, and looks for what they have begun. Browsers in which they are logged in are logged out.
 */
export async function endOtherLogins(
  tx: Transaction,
  directory: Directory,
  { account_id, user_id, kept }: PersonsLogins,
): Promise<void> {
  const { storage, revocations } = directory;
  const now = storage.now();
  const except = kept?.sid ?? "";
  await noteLoginsEnded(tx, { account_id, user_id, kept }, instant(now));
  const led = await endSessionsOf(tx, directory, { account_id, user_id, except }, now);
  const lasting = await selectNewestFamilies(tx.db, { account_id, user_id, except }, NAMED);
  await revocations.record(tx, account_id, [...led, ...lasting.map((sid) => `sid:${sid}`)]);
  await revocations.endLogins(tx, account_id, { user_id, except }, now);
}

/** As `endOtherLogins`, for whoever sets the password in a person's place: none goes on. */
export const endLoginsOf = (
  tx: Transaction,
  directory: Directory,
  { account_id, user_id }: { readonly account_id: string; readonly user_id: string },
): Promise<void> => endOtherLogins(tx, directory, { account_id, user_id });
