import { instant, type Transaction } from "../../storage/storage.ts";
import { updateMisled } from "./store.ts";
import { waitForTurn } from "./wait-for-turn.ts";

/**
 * A person has left an address or number: codes that went there log nobody in any more, nor does one whose login began
 * before and might be resumed to send it there. Waits for sends under way to that person; those that come later look
 * where the person is now. Part of the transaction of the change.
 */
export async function leaveAddress(
  tx: Transaction,
  { account_id, user_id }: { readonly account_id: string; readonly user_id: string },
  now: number,
): Promise<void> {
  await waitForTurn(tx, account_id, user_id, now);
  await updateMisled(tx.db, { account_id, person: user_id }, instant(now));
}
