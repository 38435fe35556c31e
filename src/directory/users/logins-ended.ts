/**
 * When a person's logins ended together, in their row: what began before begins nothing more that lasts. Whoever ends them
 * and whoever begins one hold that row, so the one comes before the other, whatever their processes have heard.
 */
import { sql } from "kysely";
import type { Instant, Transaction } from "../../storage/storage.ts";

interface Person {
  readonly account_id: string;
  readonly user_id: string;
}

/** SQL: a login that began then has not ended with the others of the person whose row is `u`. */
export const loginStands = (u: string, began_at: string): string =>
  `(${u}.logins_ended_at is null or ${u}.logins_ended_at <= ${began_at})`;

/**
 * Part of the transaction that ends what of a person's logins began before `now`, and looks for that after this: whoever
 * begins one waits until it ends, or is found. A clock that was set back takes nothing from what ended before.
 */
export async function noteLoginsEnded(tx: Transaction, { account_id, user_id }: Person, now: Instant): Promise<void> {
  await tx.db
    .updateTable("users")
    .set({ logins_ended_at: sql`case when logins_ended_at > ${now} then logins_ended_at else ${now} end` })
    .where("account_id", "=", account_id)
    .where("id", "=", user_id)
    .execute();
}

/** Part of the transaction that lets a person in: whether a login of theirs that began then stands. */
export async function holdLogin(tx: Transaction, { account_id, user_id }: Person, began_at: Instant): Promise<boolean> {
  const rows = await tx.db
    .selectFrom("users")
    .select("id")
    .where("account_id", "=", account_id)
    .where("id", "=", user_id)
    .where((eb) => eb.or([eb("logins_ended_at", "is", null), eb("logins_ended_at", "<=", began_at)]))
    .forShare()
    .execute();
  return rows.length === 1;
}
