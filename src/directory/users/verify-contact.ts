import type { Database, Instant } from "../../storage/storage.ts";
import { selectAnyUserBut, updateContact } from "./store.ts";
import type { User } from "./user.ts";

export type VerifiedField = "email" | "phone_number";

/** @returns false when the user is gone, or the address belongs to another user of the same type by now. */
export async function verifyContact(
  db: Database,
  { account_id, id, type }: Pick<User, "account_id" | "id" | "type">,
  field: VerifiedField,
  value: string,
  now: Instant,
): Promise<boolean> {
  if (field === "email" && (await selectAnyUserBut(db, account_id, type, value, id))) return false;
  return updateContact(db, account_id, id, field, value, now);
}
