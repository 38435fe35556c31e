import { sql } from "kysely";
import { inPages } from "../storage/pages.ts";
import type { Database, Instant } from "../storage/storage.ts";

export interface RevocationRow {
  readonly account_id: string;
  readonly subject: string;
  /** `TOKENS_LIVE` after what it names was ended. */
  readonly expires_at: Instant;
}

/** A clock that was set back ends nothing earlier than it was ended. */
const laterEnd = sql<Instant>`case when revocations.expires_at > excluded.expires_at
  then revocations.expires_at else excluded.expires_at end`;

/** No subject twice. What was revoked before is remembered for as long as either. */
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
    .onConflict((conflict) =>
      conflict.columns(["account_id", "subject"]).doUpdateSet({ revoked_at, expires_at: laterEnd }),
    )
    .execute();
}

/** @returns false where the subject is there already and has not expired. */
export async function upsertFirst(
  db: Database,
  account_id: string,
  subject: string,
  revoked_at: Instant,
  expires_at: Instant,
): Promise<boolean> {
  const rows = await db
    .insertInto("revocations")
    .values({ account_id, subject, revoked_at, expires_at })
    .onConflict((conflict) =>
      conflict
        .columns(["account_id", "subject"])
        .doUpdateSet({ revoked_at, expires_at })
        .where("revocations.expires_at", "<=", revoked_at),
    )
    .returning("subject")
    .execute();
  return rows.length > 0;
}

export async function selectAnyRevoked(
  db: Database,
  account_id: string,
  subjects: readonly string[],
): Promise<boolean> {
  const row = await db
    .selectFrom("revocations")
    .select("subject")
    .where("account_id", "=", account_id)
    .where("subject", "in", subjects)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

const PAGE = 1_000;

/** Page by page, by when they came into this database: `revoked_at` of what an import brought is when it arrived. */
export function revokedSince(db: Database, since: Instant): AsyncIterable<readonly RevocationRow[]> {
  return inPages<Dated>(PAGE, (last) => selectPage(db, last ?? { revoked_at: since, account_id: "", subject: "" }));
}

type Dated = RevocationRow & { readonly revoked_at: Instant };

function selectPage(db: Database, after: Omit<Dated, "expires_at">): Promise<readonly Dated[]> {
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
