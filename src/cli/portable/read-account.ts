import { sql } from "kysely";
import { finishEndings } from "../../authentication/sessions/endings.ts";
import type { Core } from "../../core.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { sealedVersion } from "../../secrets/seal.ts";
import { inPages } from "../../storage/pages.ts";
import { sealed_columns } from "../../storage/sealed.ts";
import { type Database, instant } from "../../storage/storage.ts";
import { BEGINNING, encodeRow, type PortableTable, portable_keys, portable_tables } from "./portable.ts";

/** Takes the next piece of a text; resolves when there is room for more. */
export type Write = (piece: string) => Promise<void>;

/** What a file holds. */
export interface Exported {
  readonly account_id: string;
  /** Versions of the master key that something inside is sealed under. */
  readonly key_versions: readonly string[];
  /** How many rows of each table. */
  readonly rows: Readonly<Record<string, number>>;
}

type Row = Readonly<Record<string, unknown>>;

/**
 * Writes everything that an account needs on another server, as committed: a `PortableAccount` as JSON, one row a line,
 * of which no more than a page is held at a time. @throws 404 not_found.
 */
export async function readAccount({ storage, directory }: Core, account_id: string, write: Write): Promise<Exported> {
  await findAccount(directory, account_id);
  // Else nothing would go on with them at the other server.
  await finishEndings(directory, { account_id });
  const versions = new Set<string>();
  const counts: Record<string, number> = {};
  const exported_at = instant(storage.now());
  await write(`${BEGINNING}\n"account_id":${JSON.stringify(account_id)},"exported_at":"${exported_at}",\n"tables":{`);
  for (const [at, table] of portable_tables.entries()) {
    let count = 0;
    await write(`${at === 0 ? "" : ","}\n"${table}":[`);
    for await (const rows of pagesOf(storage.read, table, account_id)) {
      for (const row of rows) for (const version of versionsIn(table, row)) versions.add(version);
      const lines = rows.map((row) => JSON.stringify(encodeRow(row))).join(",\n");
      await write(`${count === 0 ? "" : ","}\n${lines}`);
      count += rows.length;
    }
    await write("\n]");
    counts[table] = count;
  }
  const key_versions = [...versions].toSorted();
  await write(`\n},\n"key_versions":${JSON.stringify(key_versions)}}\n`);
  return { account_id, key_versions, rows: counts };
}

const PAGE = 1_000;

/** An account's rows by their keys; beside `account_id =`, SQLite seeks by a row of further columns only. */
function pagesOf(db: Database, table: PortableTable, account_id: string): AsyncIterable<readonly Row[]> {
  const order = portable_keys[table];
  const columns = sql.join(order.map((column) => sql.ref(column)));
  return inPages<Row>(PAGE, async (last) => {
    const further = last ? sql`and (${columns}) > (${sql.join(order.map((column) => last[column]))})` : sql``;
    const { rows } = await sql<Row>`select * from ${sql.table(table)}
      where account_id = ${account_id} ${further} order by ${columns} limit ${PAGE}`.execute(db);
    return rows;
  });
}

function versionsIn(table: PortableTable, row: Row): readonly string[] {
  const sealed = sealed_columns.flatMap((kind) => (kind.table === table ? (row[kind.column] ?? []) : []));
  // Empty where a login ended before it had a refresh token.
  const named = typeof row.key_version === "string" && row.key_version !== "" ? [row.key_version] : [];
  return [...sealed.map((value) => sealedVersion(value as Uint8Array)), ...named];
}
