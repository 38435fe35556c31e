import { sql } from "kysely";
import type { Database } from "./storage.ts";

/** Every column that holds sealed values, and what names a row beside its account. */
export const sealed_columns = [
  { table: "account_keys", column: "sealed", keys: ["name"] },
  { table: "signing_keys", column: "private_key", keys: ["kid"] },
  { table: "grants", column: "oidc_client_secret", keys: ["id"] },
  { table: "factors", column: "seed", keys: ["user_id", "kind"] },
] as const;

export type SealedTable = (typeof sealed_columns)[number]["table"];

/** The first `bytes` of all sealed values, each once: the versions that they were sealed under. */
export async function selectSealedUnder(db: Database, bytes: number): Promise<readonly Uint8Array[]> {
  const each = sealed_columns.map(
    ({ table, column }) =>
      sql`select substr(${sql.ref(column)}, 1, ${sql.lit(bytes)}) as version from ${sql.table(table)}
        where ${sql.ref(column)} is not null`,
  );
  const { rows } = await sql<{ version: Uint8Array }>`${sql.join(each, sql` union `)}`.execute(db);
  return rows.map(({ version }) => version);
}
