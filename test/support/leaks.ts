/** Looks for secrets where they do not belong. */
import { sql } from "kysely";
import { expect } from "vitest";
import type { Storage } from "../../src/storage/storage.ts";

/** Every row of every table, bytes as characters. */
export async function readDatabase(storage: Storage): Promise<string> {
  const names =
    storage.engine === "sqlite"
      ? sql<{ name: string }>`select name from sqlite_master where type = 'table'`
      : sql<{ name: string }>`select tablename as name from pg_tables where schemaname = 'public'`;
  const tables = (await names.execute(storage.read)).rows;
  expect(tables.length).toBeGreaterThan(10);
  const rows = [];
  for (const { name } of tables) {
    const found = await sql<Record<string, unknown>>`select * from ${sql.table(name)}`.execute(storage.read);
    rows.push(name, ...found.rows.flatMap((row) => Object.values(row).map(asText)));
  }
  return rows.join("\n");
}

function asText(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value);
}

/** The spellings that a secret could be found under. */
function spellings(value: string): string[] {
  const bytes = Buffer.from(value);
  const parts = value.split(".").length === 3 ? [value.split(".")[2] ?? value] : [];
  return [
    value,
    value.replaceAll("-", ""),
    encodeURIComponent(value),
    bytes.toString("base64"),
    bytes.toString("hex"),
    ...parts,
  ].filter((spelling) => spelling.length >= 9);
}

/** `issued`: secret → what it is; `places`: name → all that was written there. */
export function findLeaks(issued: ReadonlyMap<string, string>, places: ReadonlyMap<string, string>): readonly string[] {
  return [...issued].flatMap(([value, what]) =>
    [...places].flatMap(([place, text]) =>
      spellings(value).some((spelling) => text.includes(spelling)) ? [`${what} in ${place}`] : [],
    ),
  );
}
