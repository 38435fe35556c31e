import { sql } from "kysely";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { sealedVersion } from "../../secrets/seal.ts";
import type { Core } from "../../server.ts";
import { sealed_columns } from "../../storage/sealed.ts";
import { instant } from "../../storage/storage.ts";
import { encodeRow, type PortableAccount, type PortableRow, portable_tables } from "./portable.ts";

/** Everything that an account needs on another server, as committed. @throws 404 not_found. */
export async function readAccount({ storage, directory }: Core, account_id: string): Promise<PortableAccount> {
  await findAccount(directory, account_id);
  const versions = new Set<string>();
  const tables: Record<string, PortableRow[]> = {};
  for (const table of portable_tables) {
    const { rows } = await sql<Record<string, unknown>>`select * from ${sql.table(table)}
      where account_id = ${account_id}`.execute(storage.read);
    for (const { table: sealed, column } of sealed_columns) {
      if (sealed !== table) continue;
      for (const row of rows) if (row[column]) versions.add(sealedVersion(row[column] as Uint8Array));
    }
    // Empty where a login ended before it had a refresh token.
    for (const { key_version } of rows)
      if (typeof key_version === "string" && key_version !== "") versions.add(key_version);
    tables[table] = rows.map(encodeRow);
  }
  return {
    format: "latchkey-account/1",
    account_id,
    exported_at: instant(storage.now()),
    key_versions: [...versions].toSorted(),
    tables: tables as PortableAccount["tables"],
  };
}
