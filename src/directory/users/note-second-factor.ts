import type { Transaction } from "../../storage/storage.ts";
import { updateSecondFactor } from "./store.ts";

/** Whether the person has a second factor that is switched on; every login reads it with the user. */
export function noteSecondFactor(tx: Transaction, account_id: string, user_id: string, on: boolean): Promise<void> {
  return updateSecondFactor(tx.db, account_id, user_id, on);
}
