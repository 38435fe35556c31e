import type { Transaction } from "../../storage/storage.ts";
import { holdUser, updateSecondFactor } from "./store.ts";

/**
 * Whoever else changes the person waits until this transaction ends: what depends on several of their factors is read after this.
 *
 * @returns false when they are gone.
 */
export async function holdPerson(tx: Transaction, account_id: string, user_id: string): Promise<boolean> {
  return (await holdUser(tx.db, account_id, user_id)) !== undefined;
}

/** Whether the person has a second factor that is switched on; every login reads it with the user. */
export function noteSecondFactor(tx: Transaction, account_id: string, user_id: string, on: boolean): Promise<void> {
  return updateSecondFactor(tx.db, account_id, user_id, on);
}
