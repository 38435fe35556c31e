import { endSessionsOf } from "../../authentication/sessions/sessions.ts";
import type { Directory } from "../../directory/directory.ts";
import { noteLoginsEnded } from "../../directory/users/logins-ended.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { selectNewestFamilies, updateRevoked } from "./store.ts";

interface PersonsLogins {
  readonly account_id: string;
  readonly user_id: string;
  /** `sid` of the one that goes on; none where somebody else makes the change, in the person's place. */
  readonly except?: string;
}

/**
 * The newest logins end one by one as well, whatever the clock of the process says by which they began; of older ones
 * the time at which they began is enough.
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
  { account_id, user_id, except = "" }: PersonsLogins,
): Promise<void> {
  const { storage, revocations } = directory;
  const now = storage.now();
  await noteLoginsEnded(tx, { account_id, user_id }, instant(now));
  const led = await endSessionsOf(tx, directory, { account_id, user_id, except }, now);
  const lasting = await selectNewestFamilies(tx.db, { account_id, user_id, except }, NAMED);
  const older = () => updateRevoked(tx.db, { account_id, user_id, except }, instant(now));
  const named = [...led, ...lasting.map((sid) => `sid:${sid}`)];
  await revocations.record(tx, account_id, named, lasting.length === NAMED ? older : undefined);
  await revocations.endLogins(tx, account_id, { user_id, except }, now);
}
