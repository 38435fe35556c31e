import { type RawBuilder, type Selectable, sql } from "kysely";
import type { Database, Instant } from "../storage/storage.ts";
import type { Outbox } from "../storage/tables.ts";
import type { Channel, OutboxRow, SentChannel } from "./outbox.ts";

type NewRow = Omit<OutboxRow, "attempts" | "unanswered" | "last_error">;
type StoredRow = Pick<Selectable<Outbox>, keyof OutboxRow>;

const columns = [
  "account_id",
  "id",
  "kind",
  "channel",
  "destination",
  "inbox",
  "payload",
  "attempts",
  "unanswered",
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

/** What goes over one channel to one server that a client named, or by the operator's own server for one account. */
export interface Queue {
  readonly channel: SentChannel;
  readonly destination: string;
}

export interface DueQueue extends Queue {
  /** When the first of its messages was due. */
  readonly due_at: Instant;
}

/** Of each channel the destination at which a look begins. */
export type Places = Readonly<Record<SentChannel, string>>;

export const beginning: Places = { mail: "", sms: "", http: "" };

export interface Claimant {
  readonly claimed_by: string;
  /** Takes also what others had claimed, once their claims have run out. */
  readonly takes_over: boolean;
}

export interface Look {
  /** In the order in which they were due. */
  readonly due: readonly DueQueue[];
  /** Where the next look at the same channels goes on: `beginning` where this one came to the end. */
  readonly next: Partial<Places>;
}

/** Destinations of one channel that a look comes to. */
const DESTINATIONS = 200;

/**
 * Looks for queues with a message that is due and that `whose` may take. From one queue to the next by an index, however
 * much waits in each; from the destinations `from` on, and no further than a look goes: there may be any number of them.
 * `from` names a channel at least; of the others nothing is looked for.
 */
export async function selectDueQueues(
  db: Database,
  now: Instant,
  from: Partial<Places>,
  whose: Claimant,
): Promise<Look> {
  const least = (column: "destination" | "next_attempt_at", where: RawBuilder<unknown>) =>
    sql`(select min(${sql.ref(column)}) from outbox where state = 'pending' and outbox.channel = ${where})`;
  const begun = sql.join(
    Object.entries(from).map(([channel, start]) => sql`(${sql.lit(channel)}, cast(${start} as text))`),
  );
  const { rows } = await sql<DueQueue & { place: number }>`with recursive
    channels (channel, start) as (values ${begun}),
    queues (channel, destination, place) as (
      select channel,
        ${least("destination", sql`channels.channel and outbox.destination >= channels.start`)}, 1 from channels
      union all
      select channel, ${least("destination", sql`queues.channel and outbox.destination > queues.destination`)}, place + 1
        from queues where destination is not null and place < ${sql.lit(DESTINATIONS)}),
    waiting (channel, destination, place, due_at) as (
      select channel, destination, place,
        ${least("next_attempt_at", sql`queues.channel and outbox.destination = queues.destination and ${takenBy(whose)}`)}
        from queues where destination is not null)
    select channel, destination, place, due_at from waiting
      where due_at <= ${now} or place = ${sql.lit(DESTINATIONS)} order by due_at`.execute(db);
  const begun_anew = (Object.keys(from) as SentChannel[]).map((channel) => [channel, beginning[channel]]);
  const last = rows.filter(({ place }) => Number(place) === DESTINATIONS);
  const further = last.map(({ channel, destination }) => [channel, destination]);
  const next = Object.fromEntries([...begun_anew, ...further]);
  return { due: rows.filter(({ due_at }) => due_at <= now), next };
}

/** What is claimed is few, so a row that is due is found beside it. */
const takenBy = ({ claimed_by, takes_over }: Claimant) =>
  takes_over ? sql<boolean>`true` : sql<boolean>`(claimed_by is null or claimed_by = ${claimed_by})`;

export interface Claim extends Claimant {
  readonly queue: Queue;
  readonly now: Instant;
  /** When the claim runs out unless it is renewed. */
  readonly until: Instant;
  readonly limit: number;
}

/**
 * Takes due rows of one queue for one process. Concurrent claims never take the same row: each skips those that another
 * holds. A claimed row is due again when its claim runs out: to the process that claimed it, and to whoever takes over.
 */
export async function updateClaim(db: Database, claim: Claim): Promise<OutboxRow[]> {
  const rows = await db
    .with("due", (cte) =>
      cte
        .selectFrom("outbox")
        .select(["account_id", "id"])
        .where("state", "=", "pending")
        .where("channel", "=", claim.queue.channel)
        .where("destination", "=", claim.queue.destination)
        .where("next_attempt_at", "<=", claim.now)
        .where(takenBy(claim))
        .orderBy("next_attempt_at")
        .limit(claim.limit)
        .forUpdate()
        .skipLocked(),
    )
    .updateTable("outbox")
    .set({ claimed_by: claim.claimed_by, next_attempt_at: claim.until, attempts: sql`attempts + 1` })
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

/** By their whole keys and nothing beside: any number of others may wait. What is claimed is pending. */
export async function updateClaimRenewed(
  db: Database,
  claimed_by: string,
  keys: readonly Pick<OutboxRow, "account_id" | "id">[],
  until: Instant,
): Promise<void> {
  await db
    .updateTable("outbox")
    .set({ next_attempt_at: until })
    .where((eb) => eb.or(keys.map(({ account_id, id }) => eb.and({ account_id, id }))))
    .where("claimed_by", "=", claimed_by)
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
  readonly unanswered: number;
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

/** Whether the row has this very outcome. */
export async function hasOutcome(
  db: Database,
  { account_id, id }: OutboxRow,
  { state, next_attempt_at, unanswered }: Outcome,
): Promise<boolean> {
  const rows = await db
    .selectFrom("outbox")
    .select("id")
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("state", "=", state)
    .where("next_attempt_at", "=", next_attempt_at)
    .where("unanswered", "=", unanswered)
    .execute();
  return rows.length > 0;
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

export const countPendingBefore = (db: Database, than: Instant) =>
  count(db, sql<boolean>`state = 'pending' and created_at < ${than}`);
export const countFailedSince = (db: Database, than: Instant) =>
  count(db, sql<boolean>`state = 'failed' and finished_at >= ${than}`);

/** More than so many are not counted: there may be any number, and whoever asks wants to know of few. */
const MOST_COUNTED = 10_000;

/** The state stands in the text of `which`: an index that holds rows of one state serves no other text. */
async function count(db: Database, which: RawBuilder<boolean>): Promise<number> {
  const found = db.selectFrom("outbox").select(sql`1`.as("one")).where(which).limit(sql.lit(MOST_COUNTED)).as("found");
  const all = db.selectFrom(found).select((eb) => eb.fn.countAll<number>().as("n"));
  return Number((await all.executeTakeFirstOrThrow()).n);
}

function decode(row: StoredRow): OutboxRow {
  return { ...row, channel: row.channel as Channel, payload: JSON.parse(row.payload) as Record<string, unknown> };
}
