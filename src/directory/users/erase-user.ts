import { recordDeed } from "../../audit/audit.ts";
import { noSuch, refuseField } from "../../errors.ts";
import type { Erasure } from "../../storage/erasure.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { Account } from "../accounts/account.ts";
import type { Actor, Directory } from "../directory.ts";
import { canonicalEmail, canonicalPhoneNumber } from "./identifier.ts";
import { type Contact, selectContactsOfOthers, selectEverybody, updateErased } from "./store.ts";
import type { User } from "./user.ts";

/** What goes with an erased person; their own row stays, and says nothing of them. */
export const erasures: readonly Erasure[] = [{ table: "user_roles", by: ["user_id"] }];

/**
 * A user who lives or is deleted, by uuid, address, number or the account's own name for them.
 *
 * @throws 404 not_found; 400 invalid_request when several go by it.
 */
export async function findErasable(directory: Directory, account: Account, name: string): Promise<User> {
  const { account_id, settings } = account;
  const email_canonical = canonicalEmail(name) ?? null;
  const phone_number = (await canonicalPhoneNumber(name, settings.country))?.number ?? null;
  const found = await selectEverybody(directory.storage.read, account_id, { name, email_canonical, phone_number });
  const [user, ...others] = found;
  if (!user) throw noSuch("user");
  if (others.length === 0) return user;
  const each = found.map(({ id, type, deleted_at }) => `${id} (${type}${deleted_at ? ", deleted" : ""})`).join(", ");
  throw refuseField("user", "ambiguous", `several users go by it; name one by id: ${each}`);
}

/** A user's address and number, canonical, as far as no other living user of the account has them. */
export async function soleContact(
  directory: Directory,
  { account_id, id, email, phone_number }: User,
): Promise<Contact> {
  const contact = { email: email === null ? null : (canonicalEmail(email) ?? email), phone_number };
  const others = await selectContactsOfOthers(directory.storage.read, account_id, id, contact);
  const sole = (field: keyof Contact) =>
    others.some((other) => other[field] === contact[field]) ? null : contact[field];
  return { email: sole("email"), phone_number: sole("phone_number") };
}

/** Takes everything that says who somebody was out of their row; part of the transaction that erases the rest. */
export async function eraseUser(tx: Transaction, { account_id, id }: User, milliseconds: number, actor: Actor) {
  const now = instant(milliseconds);
  await updateErased(tx.db, account_id, id, now);
  await recordDeed(tx, { account_id, action: "user.erased", entity: id, now, actor });
}
