import { sql } from "kysely";
import type { Database, Instant } from "./storage.ts";
import { columns } from "./tables.ts";

/** Marks one live row deleted. @returns it as it is now, or undefined when there was none. */
export async function markDeleted<T>(
  db: Database,
  table: keyof typeof columns,
  { account_id, id }: { readonly account_id: string; readonly id: string },
  deleted_by: string,
  now: Instant,
): Promise<T | undefined> {
  const all = sql.raw(columns[table].join(", "));
  const { rows } = await sql<T>`update ${sql.table(table)}
    set deleted_at = ${now}, deleted_by = ${deleted_by}, updated_at = ${now}
    where account_id = ${account_id} and id = ${id} and deleted_at is null returning ${all}`.execute(db);
  return rows[0];
}
