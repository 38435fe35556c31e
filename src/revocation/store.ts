import type { Database, Instant } from "../storage/storage.ts";

export interface RevocationRow {
  readonly account_id: string;
  readonly subject: string;
  /** `TOKENS_LIVE` after what it names was ended. */
  readonly expires_at: Instant;
}

/** No subject twice. */
export async function insertRevocations(
  db: Database,
  account_id: string,
  subjects: readonly string[],
  revoked_at: Instant,
  expires_at: Instant,
): Promise<void> {
  await db
    .insertInto("revocations")
    .values(subjects.map((subject) => ({ account_id, subject, revoked_at, expires_at })))
    .onConflict((conflict) => conflict.columns(["account_id", "subject"]).doUpdateSet({ revoked_at, expires_at }))
    .execute();
}

/** By when they came into this database: `revoked_at` of what an import brought is when it arrived. */
export function selectRevokedSince(db: Database, since: Instant): Promise<readonly RevocationRow[]> {
  return db
    .selectFrom("revocations")
    .select(["account_id", "subject", "expires_at"])
    .where("revoked_at", ">=", since)
    .execute();
}
