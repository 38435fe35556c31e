import { sql } from "kysely";
import type { Database, Engine, Instant } from "../storage/storage.ts";
import type { Outbox } from "../storage/tables.ts";
import type { Channel, OutboxRow } from "./outbox.ts";

type NewRow = Omit<OutboxRow, "attempts" | "last_error">;
type StoredRow = Pick<Outbox, Exclude<keyof OutboxRow, "attempts">> & { attempts: number };

const columns = [
  "account_id",
  "id",
  "kind",
  "channel",
  "inbox",
  "payload",
  "attempts",
  "last_error",
  "created_at",
  "expires_at",
] as const satisfies readonly (keyof OutboxRow)[];

export async function insertRow(db: Database, row: NewRow, withheld: boolean): Promise<void> {
  await db
    .insertInto("outbox")
    .values({
      ...row,
      payload: JSON.stringify(row.payload),
      state: withheld ? "withheld" : "pending",
      next_attempt_at: row.created_at,
    })
    .execute();
}

export async function selectAnyDue(db: Database, now: Instant): Promise<boolean> {
  const due = db.selectFrom("outbox").select("id").where("state", "=", "pending").where("next_attempt_at", "<=", now);
  return (await due.limit(1).execute()).length > 0;
}

export interface Claim {
  readonly claimed_by: string;
  readonly now: Instant;
  /** When the claim runs out unless it is renewed. */
  readonly until: Instant;
  readonly limit: number;
}

/**
 * Takes due rows for one process. Concurrent claims never take the same row: PostgreSQL skips rows that another claim
 * holds, SQLite runs one write at a time. A claimed row is due again when its claim runs out.
 */
export async function updateClaim(db: Database, engine: Engine, claim: Claim): Promise<OutboxRow[]> {
  const rows = await db
    .with("due", (cte) => {
      const due = cte
        .selectFrom("outbox")
        .select(["account_id", "id"])
        .where("state", "=", "pending")
        .where("next_attempt_at", "<=", claim.now)
        .orderBy("next_attempt_at")
        .limit(claim.limit);
      return engine === "postgres" ? due.forUpdate().skipLocked() : due;
    })
    .updateTable("outbox")
    .set({ claimed_by: claim.claimed_by, next_attempt_at: claim.until, attempts: sql`attempts + 1` })
    .where("state", "=", "pending")
    .where((eb) =>
      eb(
        eb.refTuple("outbox.account_id", "outbox.id"),
        "in",
        eb.selectFrom("due").select(["due.account_id", "due.id"]).$asTuple("account_id", "id"),
      ),
    )
    .returning(columns)
    .execute();
  return rows.map(decode);
}

export async function updateClaimRenewed(
  db: Database,
  claimed_by: string,
  ids: readonly string[],
  until: Instant,
): Promise<void> {
  await db
    .updateTable("outbox")
    .set({ next_attempt_at: until })
    .where("state", "=", "pending")
    .where("claimed_by", "=", claimed_by)
    .where("id", "in", ids)
    .execute();
}

/** Makes everything that another process claimed due at once. */
export async function updateForeignClaims(db: Database, claimed_by: string, now: Instant): Promise<void> {
  await db
    .updateTable("outbox")
    .set({ claimed_by: null, next_attempt_at: now })
    .where("state", "=", "pending")
    .where("claimed_by", "is not", null)
    .where("claimed_by", "!=", claimed_by)
    .execute();
}

export interface Outcome {
  readonly state: "pending" | "sent" | "failed";
  readonly next_attempt_at: Instant;
  readonly last_error: string | null;
  readonly finished_at: Instant | null;
}

/** False when the claim was lost meanwhile: another process then decides what becomes of the row. */
export async function updateOutcome(
  db: Database,
  row: OutboxRow,
  claimed_by: string,
  outcome: Outcome,
): Promise<boolean> {
  const changed = await db
    .updateTable("outbox")
    .set({ ...outcome, claimed_by: null })
    .where("account_id", "=", row.account_id)
    .where("id", "=", row.id)
    .where("state", "=", "pending")
    .where("claimed_by", "=", claimed_by)
    .returning("id")
    .execute();
  return changed.length > 0;
}

export async function selectInbox(
  db: Database,
  account_id: string,
  inbox: string | null,
  limit: number,
): Promise<OutboxRow[]> {
  const rows = await db
    .selectFrom("outbox")
    .select(columns)
    .where("account_id", "=", account_id)
    .where("inbox", "is not", null)
    .$if(inbox !== null, (query) => query.where("inbox", "=", inbox))
    .orderBy("id", "desc")
    .limit(limit)
    .execute();
  return rows.map(decode);
}

async function count(
  db: Database,
  state: string,
  column: "created_at" | "finished_at",
  op: "<" | ">=",
  than: Instant,
): Promise<number> {
  const { n } = await db
    .selectFrom("outbox")
    .select((eb) => eb.fn.countAll<number>().as("n"))
    .where("state", "=", state)
    .where(column, op, than)
    .executeTakeFirstOrThrow();
  return Number(n);
}

export const selectPendingBefore = (db: Database, than: Instant) => count(db, "pending", "created_at", "<", than);
export const selectFailedSince = (db: Database, than: Instant) => count(db, "failed", "finished_at", ">=", than);

function decode(row: StoredRow): OutboxRow {
  return { ...row, channel: row.channel as Channel, payload: JSON.parse(row.payload) as Record<string, unknown> };
}
