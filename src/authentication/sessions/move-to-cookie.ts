import { sql } from "kysely";
import type { Database, Engine } from "../../storage/storage.ts";

interface Moved {
  readonly account_id: string;
  /** Digests of cookies. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** What a browser has follows its new cookie; each row held by key, as everybody locks them who takes several. */
export async function moveToCookie(
  db: Database,
  engine: Engine,
  table: "sessions" | "authorization_requests",
  { account_id, from, to }: Moved,
): Promise<void> {
  const name = sql.table(table);
  const own = sql`account_id = ${account_id} and browser_digest = ${Buffer.from(from)}`;
  // SQLite runs one write at a time.
  const held =
    engine === "postgres"
      ? sql`account_id = ${account_id} and id in (select id from ${name} where ${own} order by id for update)`
      : own;
  await sql`update ${name} set browser_digest = ${Buffer.from(to)} where ${held}`.execute(db);
}
