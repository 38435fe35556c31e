import type { Instant, Transaction } from "../../storage/storage.ts";
import { selectUserByEmail, updateContact } from "./store.ts";
import { takeAddress } from "./take-address.ts";
import type { User } from "./user.ts";

export type VerifiedField = "email" | "phone_number";

/** @returns false when the user is gone, or another user of the same type has verified the address by now. */
export async function verifyContact(
  tx: Transaction,
  user: Pick<User, "account_id" | "id" | "type">,
  field: VerifiedField,
  value: string,
  now: Instant,
): Promise<boolean> {
  const { account_id, id, type } = user;
  if (field === "email") {
    await takeAddress(tx, user, value, now);
    const owner = await selectUserByEmail(tx.db, account_id, type, value);
    if (owner && owner.id !== id) return false;
  }
  return updateContact(tx.db, account_id, id, field, value, now);
}
