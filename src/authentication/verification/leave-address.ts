import type { Instant, Transaction } from "../../storage/storage.ts";
import { updateMisled } from "./store.ts";

/**
 * A person has left an address or number: codes that went there log nobody in any more, nor does one whose login began before and
 * might be resumed to send it there. Part of the transaction of the change.
 */
export function leaveAddress(
  tx: Transaction,
  { account_id, user_id }: { readonly account_id: string; readonly user_id: string },
  now: Instant,
): Promise<void> {
  return updateMisled(tx.db, { account_id, person: user_id }, now);
}
