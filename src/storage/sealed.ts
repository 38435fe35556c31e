import { type RawBuilder, sql } from "kysely";
import type { Database } from "./storage.ts";

/** Every column that holds sealed values, and what names a row beside its account. */
export const sealed_columns = [
  { table: "account_keys", column: "sealed", keys: ["name"] },
  { table: "signing_keys", column: "private_key", keys: ["kid"] },
  { table: "grants", column: "oidc_client_secret", keys: ["id"] },
  { table: "factors", column: "seed", keys: ["user_id", "kind"] },
] as const;

export type SealedTable = (typeof sealed_columns)[number]["table"];

/**
 * The first `bytes` of all sealed values, each once: the versions that they were sealed under. From one to the next by
 * an index, since there are many values and hardly ever more than two versions.
 */
export async function selectSealedUnder(db: Database, bytes: number): Promise<readonly Uint8Array[]> {
  const each = sealed_columns.map(async ({ table, column }) => {
    const version = sql`substr(${sql.ref(column)}, 1, ${sql.lit(bytes)})`;
    const first = (after: RawBuilder<unknown>) =>
      sql`select ${version} from ${sql.table(table)} where ${sql.ref(column)} is not null ${after} order by ${version} limit 1`;
    const { rows } = await sql<{ version: Uint8Array }>`with recursive sealed_under (version) as (
        select (${first(sql``)})
        union all select (${first(sql`and ${version} > sealed_under.version`)}) from sealed_under where version is not null)
      select version from sealed_under where version is not null`.execute(db);
    return rows.map(({ version }) => version);
  });
  return (await Promise.all(each)).flat();
}
