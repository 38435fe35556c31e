import type { Transaction } from "../../storage/storage.ts";
import { holdUser } from "./store.ts";

/**
 * Whoever else changes the person waits until this transaction ends: what depends on several of their factors is read
 * after this. @returns false when no such user lives.
 */
export async function holdPerson(tx: Transaction, account_id: string, user_id: string): Promise<boolean> {
  return (await holdUser(tx.db, account_id, user_id)) !== undefined;
}
