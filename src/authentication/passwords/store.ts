import type { Database, Instant } from "../../storage/storage.ts";
import { columns } from "../../storage/tables.ts";
import type { PasswordKind } from "./password.ts";

export interface PasswordRow {
  readonly account_id: string;
  readonly user_id: string;
  readonly kind: PasswordKind;
  readonly hash: string;
  readonly updated_at: Instant;
  /** The channel over which its owner was known who set it; null where that was otherwise. */
  readonly set_over: "email" | null;
}

export async function selectPassword(
  db: Database,
  account_id: string,
  user_id: string,
): Promise<readonly PasswordRow[]> {
  const rows = await db
    .selectFrom("passwords")
    .select(columns.passwords)
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .execute();
  return rows as PasswordRow[];
}

/** Whoever changes one waits for this transaction, and the other way round: what comes back is what stands then. */
export async function lockPasswords(
  db: Database,
  account_id: string,
  user_id: string,
  lock: "share" | "update",
): Promise<readonly PasswordRow[]> {
  const found = db
    .selectFrom("passwords")
    .select(columns.passwords)
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id);
  return (await (lock === "share" ? found.forShare() : found.forUpdate()).execute()) as PasswordRow[];
}

export async function deletePasswords(db: Database, account_id: string, user_id: string): Promise<void> {
  await db.deleteFrom("passwords").where("account_id", "=", account_id).where("user_id", "=", user_id).execute();
}

export async function deletePasswordsSetOver(
  db: Database,
  account_id: string,
  user_id: string,
  set_over: NonNullable<PasswordRow["set_over"]>,
): Promise<void> {
  const own = db.deleteFrom("passwords").where("account_id", "=", account_id).where("user_id", "=", user_id);
  await own.where("set_over", "=", set_over).execute();
}

export async function upsertPassword(db: Database, row: PasswordRow): Promise<void> {
  const { hash, updated_at, set_over } = row;
  await db
    .insertInto("passwords")
    .values(row)
    .onConflict((conflict) =>
      conflict.columns(["account_id", "user_id", "kind"]).doUpdateSet({ hash, updated_at, set_over }),
    )
    .execute();
}
