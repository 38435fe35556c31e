import { type RawBuilder, sql } from "kysely";
import type { Sweep } from "./janitor.ts";
import { FOR_UPDATE, SKIP_LOCKED } from "./row-locks.ts";
import { type Instant, instant, type Storage } from "./storage.ts";
import type { Tables } from "./tables.ts";

interface Keyed {
  readonly table: keyof Tables;
  /** The primary key after the account. */
  readonly key: readonly string[];
}

export interface Expiring extends Keyed {
  /** Narrows what may go. */
  readonly only?: string;
}

interface Ended extends Keyed {
  /** The indexed column that tells when a row ended. */
  readonly by: string;
  readonly which: RawBuilder<unknown>;
}

/**
 * Removes at most `batch` rows, the longest ended of them, in one statement. On PostgreSQL it passes over what anybody
 * else holds: it waits for nobody, several processes share the work, and a row that is being changed is looked at again
 * another time. @returns how many there were.
 */
export function deleteEnded(storage: Storage, { table, key, by, which }: Ended, batch: number): Promise<number> {
  const [name, columns] = [sql.table(table), sql.join(["account_id", ...key].map((column) => sql.ref(column)))];
  // Materialized, so that it is read once; the batch stands in the text, so that PostgreSQL plans for a few rows.
  const statement = sql`delete from ${name} where (${columns}) in (
    with longest as materialized (
      select ${columns} from ${name} where ${which} order by ${sql.ref(by)} limit ${sql.lit(batch)} ${FOR_UPDATE} ${SKIP_LOCKED}
    ) select ${columns} from longest)`;
  return storage.write(async ({ db }) => Number((await statement.execute(db)).numAffectedRows));
}

/** Of a table whose `expires_at` lies before an instant. @returns how many rows there were, at most `batch`. */
export function deleteExpired(
  storage: Storage,
  { table, key, only = "1 = 1" }: Expiring,
  before: Instant,
  batch: number,
): Promise<number> {
  const which = sql`expires_at < ${before} and ${sql.raw(only)}`;
  return deleteEnded(storage, { table, key, by: "expires_at", which }, batch);
}

/** For the janitor: rows that expired `kept` milliseconds ago go. */
export const expirySweep = (name: string, what: Expiring, kept = 0): Sweep => ({
  name,
  sweep: (storage, batch) => deleteExpired(storage, what, instant(storage.now() - kept), batch),
});
