import { sql } from "kysely";
import type { Database, Instant } from "./storage.ts";
import type { Tables } from "./tables.ts";

/** Marks one live row deleted. @returns it as it is now, or undefined when there was none. */
export async function markDeleted<T>(
  db: Database,
  table: keyof Tables,
  { account_id, id }: { readonly account_id: string; readonly id: string },
  deleted_by: string,
  now: Instant,
): Promise<T | undefined> {
  const { rows } = await sql<T>`update ${sql.table(table)}
    set deleted_at = ${now}, deleted_by = ${deleted_by}, updated_at = ${now}
    where account_id = ${account_id} and id = ${id} and deleted_at is null returning *`.execute(db);
  return rows[0];
}
