import { refuseField } from "../../errors.ts";
import { columns } from "../../storage/tables.ts";
import { type PortableAccount, type PortableRow, type PortableTable, portable_tables } from "./portable.ts";

/**
 * Whether an exported account can be written where these versions of the master key are configured, whatever else is there.
 *
 * @throws 400 invalid_request: a master key is missing, or the file is not what it says.
 */
export function checkPortable(
  { account_id, tables, key_versions }: PortableAccount,
  versions: readonly string[],
): void {
  if (tables.accounts?.length !== 1) throw refuseField("tables.accounts", "required", "must hold the account's row");
  const missing = key_versions.filter((version) => !versions.includes(version));
  if (missing.length > 0) {
    throw refuseField(
      "key_versions",
      "unknown",
      `the file is sealed under the master key ${missing.join(", ")}: add that key after your own in MASTER_KEY, import, then run latchkey keys reseal`,
    );
  }
  for (const table of portable_tables) {
    for (const row of tables[table] ?? []) {
      if (row.account_id !== account_id)
        throw refuseField(`tables.${table}`, "foreign", "holds a row of another account");
      checkKnown(table, row);
    }
  }
}

/** @throws 400 invalid_request for what would be lost here: a newer version may have exported it. */
function checkKnown(table: PortableTable, row: PortableRow): void {
  const known: readonly string[] = columns[table];
  const unknown = Object.keys(row).filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  const remedy = "import it with the version that exported it, or a newer one";
  throw refuseField(
    `tables.${table}`,
    "unknown",
    `has what this version does not know (${unknown.join(", ")}): ${remedy}`,
  );
}
