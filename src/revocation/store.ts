import type { Database, Instant } from "../storage/storage.ts";

export interface RevocationRow {
  readonly account_id: string;
  readonly subject: string;
  readonly expires_at: Instant;
}

export async function insertRevocation(
  db: Database,
  revoked: { readonly account_id: string; readonly subject: string },
  revoked_at: Instant,
  expires_at: Instant,
): Promise<void> {
  const { account_id, subject } = revoked;
  await db
    .insertInto("revocations")
    .values({ account_id, subject, revoked_at, expires_at })
    .onConflict((conflict) => conflict.columns(["account_id", "subject"]).doUpdateSet({ revoked_at, expires_at }))
    .execute();
}

/**
 * Stands where a revocation of it would stand, so that of the two one waits for the other; and is gone before anybody sees it.
 *
 * @returns false when it is revoked.
 */
export async function insertAndDelete(
  db: Database,
  { account_id, subject }: { readonly account_id: string; readonly subject: string },
  now: Instant,
): Promise<boolean> {
  const row = { account_id, subject, revoked_at: now, expires_at: now };
  const rows = await db
    .insertInto("revocations")
    .values(row)
    .onConflict((conflict) => conflict.columns(["account_id", "subject"]).doNothing())
    .returning("subject")
    .execute();
  if (rows.length === 0) return false;
  await db.deleteFrom("revocations").where("account_id", "=", account_id).where("subject", "=", subject).execute();
  return true;
}

export function selectRevokedSince(db: Database, since: Instant): Promise<readonly RevocationRow[]> {
  return db
    .selectFrom("revocations")
    .select(["account_id", "subject", "expires_at"])
    .where("revoked_at", ">=", since)
    .execute();
}
