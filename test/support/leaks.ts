/** Looks for secrets where they do not belong. */
import { existsSync, readFileSync } from "node:fs";
import { sql } from "kysely";
import { expect } from "vitest";
import { sqlitePath } from "../../src/config.ts";
import type { Storage } from "../../src/storage/storage.ts";
import type { TestDatabase } from "./engines.ts";

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
    rows.push(name);
    for (const row of found.rows) rows.push(...Object.values(row).map(asText));
  }
  return rows.join("\n");
}

function asText(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value);
}

/** The files of an SQLite database, by name. */
export function readFiles({ engine, database_url }: TestDatabase): ReadonlyMap<string, string> {
  if (engine === "postgres") return new Map();
  const file = sqlitePath(database_url);
  return new Map([file, `${file}-wal`].filter(existsSync).map((path) => [path, readFileSync(path, "latin1")]));
}

/** Below this a text may be part of anything, and is looked for as a word of its own. */
const LONG = 9;
/** Below this it is found everywhere. */
const SHORTEST = 6;

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
  ].filter(({ length }) => length >= SHORTEST);
}

function holds(text: string, spelling: string): boolean {
  if (spelling.length >= LONG) return text.includes(spelling);
  return new RegExp(`(?<!\\w)${spelling.replaceAll(/\W/g, "\\$&")}(?!\\w)`).test(text);
}

/**
 * `issued`: secret → what it is; `places`: name → all that was written there.
 *
 * @throws for what is too short to be looked for.
 */
export function findLeaks(issued: ReadonlyMap<string, string>, places: ReadonlyMap<string, string>): readonly string[] {
  return [...issued].flatMap(([value, what]) => {
    if (value.length < SHORTEST) throw new Error(`${what} is too short to be looked for`);
    return [...places].flatMap(([place, text]) =>
      spellings(value).some((spelling) => holds(text, spelling)) ? [`${what} in ${place}`] : [],
    );
  });
}
