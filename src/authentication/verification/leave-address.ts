import type { Instant, Transaction } from "../../storage/storage.ts";
import { updateMisled } from "./store.ts";

/** A person has left an address or number: codes that went there log nobody in any more. Part of the transaction of the change. */
export function leaveAddress(
  tx: Transaction,
  { account_id, user_id }: { readonly account_id: string; readonly user_id: string },
  field: "email" | "phone_number",
  value: string,
  now: Instant,
): Promise<void> {
  return updateMisled(tx.db, { account_id, person: user_id }, field, value, now);
}
