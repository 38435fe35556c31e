import { endSessionsOf } from "../../authentication/sessions/end-session.ts";
import type { Directory } from "../../directory/directory.ts";
import { type GoesOn, noteLoginsEnded } from "../../directory/users/logins-ended.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { selectUnrevoked } from "./store.ts";

interface PersonsLogins {
  readonly account_id: string;
  readonly user_id: string;
  /** The one that goes on; none where somebody else makes the change, in the person's place. */
  readonly kept?: GoesOn | undefined;
}

/**
 * The newest logins end one by one as well, whatever the clock of the process says by which they began. Older ones, of
 * which there may be very many, end by when they began, which their person's row says at once, and are marked later.
 */
const NAMED = 500;

/**
 * Ends every login of a person but the one at hand, because what proves them has changed: a password, an address or number,
 * a second factor. Part of that transaction, once it holds the row of what changed, for which whoever logs in by the one
 * before waits. Then it holds the person's, for which whoever else logs in waits, and looks for what they have begun.
 * Browsers in which they are logged in are logged out; what nothing tells of ends by the time at which it began.
 */
export async function endLoginsOf(
  tx: Transaction,
  directory: Directory,
  { account_id, user_id, kept }: PersonsLogins,
): Promise<void> {
  const { storage, revocations } = directory;
  const now = storage.now();
  const except = kept?.sid ?? "";
  await noteLoginsEnded(tx, { account_id, user_id, kept }, instant(now));
  const whose = { account_id, user_id, except };
  const some = await selectUnrevoked(tx.db, whose, "client_id", NAMED + 1);
  const more_families = some.length > NAMED;
  const led = await endSessionsOf(tx, directory, { ...whose, more_families }, now);
  const lasting = more_families ? await selectUnrevoked(tx.db, whose, "created_at desc", NAMED) : some;
  await revocations.record(tx, account_id, [...led, ...lasting.map((sid) => `sid:${sid}`)]);
  await revocations.endLogins(tx, account_id, { user_id, except }, now);
}
