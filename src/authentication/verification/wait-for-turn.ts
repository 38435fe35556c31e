import { chargeAll } from "../../limits/limits.ts";
import type { Transaction } from "../../storage/storage.ts";

/**
 * Of two who send a person something, or change where that goes, the second waits here until the first has committed,
 * by whatever name they know the person.
 */
export async function waitForTurn(tx: Transaction, account_id: string, person: string, now: number): Promise<void> {
  await chargeAll(tx, [{ account_id, budget: "send_person", subject: person }], now);
}
