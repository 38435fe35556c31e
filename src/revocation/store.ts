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

const PAGE = 1_000;

/**
 * Page by page, by when they came into this database: `revoked_at` of what an import brought is when it arrived.
 * Between two pages the event loop turns.
 */
export async function* revokedSince(db: Database, since: Instant): AsyncGenerator<readonly RevocationRow[]> {
  for (let last = { revoked_at: since, account_id: "", subject: "" }; ; ) {
    const rows = await selectPage(db, last);
    yield rows;
    const end = rows[PAGE - 1];
    if (end === undefined) return;
    last = end;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function selectPage(db: Database, after: { revoked_at: Instant; account_id: string; subject: string }) {
  return db
    .selectFrom("revocations")
    .select(["revoked_at", "account_id", "subject", "expires_at"])
    .where((eb) =>
      eb(
        eb.refTuple("revoked_at", "account_id", "subject"),
        ">",
        eb.tuple(after.revoked_at, after.account_id, after.subject),
      ),
    )
    .orderBy("revoked_at")
    .orderBy("account_id")
    .orderBy("subject")
    .limit(PAGE)
    .execute();
}
