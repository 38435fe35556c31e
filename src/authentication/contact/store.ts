import type { Database } from "../../storage/storage.ts";
import { columns } from "../../storage/tables.ts";
import type { ContactChallenge } from "./contact.ts";

export async function upsertChallenge(db: Database, challenge: ContactChallenge): Promise<void> {
  const { account_id: _account, user_id: _user, field: _field, ...fields } = challenge;
  const stored = { ...fields, challenge_id: Buffer.from(fields.challenge_id) };
  await db
    .insertInto("contact_challenges")
    .values({ ...challenge, ...stored })
    .onConflict((conflict) => conflict.columns(["account_id", "user_id", "field"]).doUpdateSet(stored))
    .execute();
}

type Key = Pick<ContactChallenge, "account_id" | "user_id" | "field">;

export async function selectChallenge(db: Database, { account_id, user_id, field }: Key) {
  const row = await db
    .selectFrom("contact_challenges")
    .select(columns.contact_challenges)
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .where("field", "=", field)
    .executeTakeFirst();
  return row && ({ ...row, counter: Number(row.counter), length: Number(row.length) } as ContactChallenge);
}

/** Spends it. @returns false when another attempt did. */
export async function deleteChallenge(db: Database, challenge: ContactChallenge): Promise<boolean> {
  const rows = await db
    .deleteFrom("contact_challenges")
    .where("account_id", "=", challenge.account_id)
    .where("user_id", "=", challenge.user_id)
    .where("field", "=", challenge.field)
    .where("created_at", "=", challenge.created_at)
    .returning("user_id")
    .execute();
  return rows.length === 1;
}
