import { type RawBuilder, sql } from "kysely";
import type { Database, Engine, Instant } from "../../storage/storage.ts";

export interface Moved {
  readonly account_id: string;
  /** Digests of cookies. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** What a browser has under way follows its new cookie. */
export async function moveRequests(db: Database, engine: Engine, { account_id, from, to }: Moved): Promise<void> {
  const own = sql`browser_digest = ${Buffer.from(from)}`;
  await change(db, engine, "authorization_requests", account_id, own, sql`browser_digest = ${Buffer.from(to)}`);
}

/**
 * Its sessions follow, and so do those that followed to a cookie which no browser has shown, because the answer that
 * set it was lost: to be ended here with all that they led to. Whoever shows the cookie of before is not known to be
 * who logged in since, so they lie idle from `now` on, and let nobody in.
 */
export async function moveSessions(
  db: Database,
  engine: Engine,
  { account_id, from, to }: Moved,
  now: Instant,
): Promise<void> {
  const before = Buffer.from(from);
  const moved = sql`browser_digest = ${Buffer.from(to)}, previous_digest = ${before},
    idle_expires_at = case when browser_digest = ${before} then idle_expires_at else ${now} end`;
  const own = sql`(browser_digest = ${before} or (previous_digest = ${before} and ended_at is null))`;
  await change(db, engine, "sessions", account_id, own, moved);
}

/** The browser has shown its cookie: the one before means nothing any more. */
export async function settleSessions(
  db: Database,
  engine: Engine,
  account_id: string,
  browser: Uint8Array,
): Promise<void> {
  const own = sql`browser_digest = ${Buffer.from(browser)} and previous_digest is not null`;
  await change(db, engine, "sessions", account_id, own, sql`previous_digest = null`);
}

/** Each row held by key, as everybody locks them who takes several. */
async function change(
  db: Database,
  engine: Engine,
  table: "sessions" | "authorization_requests",
  account_id: string,
  own: RawBuilder<unknown>,
  set: RawBuilder<unknown>,
): Promise<void> {
  const name = sql.table(table);
  const whole = sql`account_id = ${account_id} and ${own}`;
  // SQLite runs one write at a time.
  const held =
    engine === "postgres"
      ? sql`account_id = ${account_id} and id in (select id from ${name} where ${whole} order by id for update)`
      : whole;
  await sql`update ${name} set ${set} where ${held}`.execute(db);
}
