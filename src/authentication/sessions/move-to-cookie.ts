import { type RawBuilder, sql } from "kysely";
import { FOR_UPDATE } from "../../storage/row-locks.ts";
import type { Database, Instant } from "../../storage/storage.ts";

export interface Moved {
  readonly account_id: string;
  /** Digests of cookies. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** Requests that follow: as many as anybody has open in tabs. */
const TABS = 100;

/** What a browser has under way follows its new cookie: the request that is answered (`id`), others that are open. */
export async function moveRequests(
  db: Database,
  { account_id, id, from, to }: Moved & { readonly id: string },
): Promise<void> {
  const own = sql`account_id = ${account_id} and browser_digest = ${Buffer.from(from)}`;
  const ids = sql`select id from authorization_requests where ${own} and id = ${id}
    union all
    select id from (
      select id from authorization_requests where ${own} and used_at is null limit ${sql.lit(TABS)}
    ) as others`;
  const moved = sql`browser_digest = ${Buffer.from(to)}`;
  await change(db, "authorization_requests", { account_id, own, ids }, moved);
}

/** Ended sessions that follow: by the newest ones it is known who has logged in in a browser. */
const ENDED = 100;

/**
 * Its sessions follow, and so do those that followed to a cookie which no browser has shown, because the answer that
 * set it was lost: to be ended here with all that they led to. Whoever shows the cookie of before is not known to be
 * who logged in since, so they lie idle from `now` on, and let nobody in.
 */
export async function moveSessions(db: Database, { account_id, from, to }: Moved, now: Instant): Promise<void> {
  const before = Buffer.from(from);
  const moved = sql`browser_digest = ${Buffer.from(to)}, previous_digest = ${before},
    idle_expires_at = case when browser_digest = ${before} then idle_expires_at else ${now} end`;
  const own = sql`account_id = ${account_id} and (browser_digest = ${before} or (previous_digest = ${before} and ended_at is null))`;
  const ids = sql`select id from sessions where ${own} and ended_at is null
    union all
    select id from (
      select id from sessions where ${own} and ended_at is not null order by created_at desc limit ${sql.lit(ENDED)}
    ) as ended`;
  await change(db, "sessions", { account_id, own, ids }, moved);
}

/** The browser has shown its cookie: the one before means nothing any more. */
export async function settleSessions(db: Database, account_id: string, browser: Uint8Array): Promise<void> {
  const own = sql`account_id = ${account_id} and browser_digest = ${Buffer.from(browser)}
    and previous_digest is not null`;
  const ids = sql`select id from sessions where ${own}`;
  await change(db, "sessions", { account_id, own, ids }, sql`previous_digest = null`);
}

interface Rows {
  readonly account_id: string;
  /** What has to be so of each when it is held. */
  readonly own: RawBuilder<unknown>;
  readonly ids: RawBuilder<unknown>;
}

/** Each row held by key, as everybody locks them who takes several. */
async function change(
  db: Database,
  table: "sessions" | "authorization_requests",
  { account_id, own, ids }: Rows,
  set: RawBuilder<unknown>,
): Promise<void> {
  const name = sql.table(table);
  // Materialized, so that each is read once, whatever the planner expects.
  const held = sql`with found as materialized (${ids}), held as materialized (
      select id from ${name} where ${own} and id in (select id from found) order by id ${FOR_UPDATE}
    ) select id from held`;
  await sql`update ${name} set ${set} where account_id = ${account_id} and id in (${held})`.execute(db);
}
