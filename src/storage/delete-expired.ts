import { sql } from "kysely";
import type { Sweep } from "./janitor.ts";
import { type Database, type Instant, instant } from "./storage.ts";
import type { Tables } from "./tables.ts";

export interface Expiring {
  readonly table: keyof Tables;
  /** Beside the account, what names a row, or a few: the next column of the primary key. */
  readonly key: string;
  /** Narrows what may go. */
  readonly only?: string;
}

/**
 * Removes at most `batch` rows of a table whose `expires_at` lies before an instant, the longest expired of them, one
 * by one in the order of their keys, in which everybody else locks them too. @returns how many there were.
 */
export async function deleteExpired(
  db: Database,
  { table, key, only = "1 = 1" }: Expiring,
  before: Instant,
  batch: number,
): Promise<number> {
  const [name, id, further] = [sql.table(table), sql.ref(key), sql.raw(only)];
  const { rows } = await sql<{ account_id: string; id: string }>`select account_id, id from (
    select account_id, ${id} as id from ${name} where expires_at < ${before} and ${further} order by expires_at limit ${batch}
  ) longest order by account_id, id`.execute(db);
  for (const row of rows) {
    await sql`delete from ${name} where account_id = ${row.account_id} and ${id} = ${row.id}
      and expires_at < ${before} and ${further}`.execute(db);
  }
  return rows.length;
}

/** For the janitor: rows that expired `kept` milliseconds ago go. */
export const expirySweep = (name: string, what: Expiring, kept = 0): Sweep => ({
  name,
  sweep: (storage, batch) => storage.write((tx) => deleteExpired(tx.db, what, instant(storage.now() - kept), batch)),
});
