import { type RawBuilder, sql } from "kysely";
import { inPages, slices } from "./pages.ts";
import type { Database } from "./storage.ts";
import type { Tables } from "./tables.ts";

/** A person by all that rows know them by. It grows as their names are collected. */
export interface PersonToErase {
  readonly account_id: string;
  /** The user's id, and ids of what is theirs: codes, logins, sessions. */
  readonly ids: Set<string>;
  /** Addresses and numbers, in lower case. */
  readonly addresses: Set<string>;
}

/** A table whose rows go with a person. */
export interface Erasure {
  readonly table: keyof Tables;
  /** Columns of which one holds an id of theirs, where their rows are found so. */
  readonly by?: readonly string[];
  /** Columns of text or JSON that hold an id or address of theirs, where their rows are found by reading. */
  readonly speaking?: readonly string[];
  /** Columns whose values are further ids of theirs. */
  readonly ids?: readonly string[];
  /** Columns whose values are further addresses of theirs. */
  readonly addresses?: readonly string[];
  /** Narrows what may go. */
  readonly only?: string;
}

type Found = Readonly<Record<string, string | null>>;

/** Adds what a table's rows tell further of a person. */
export async function collectNames(db: Database, erasure: Erasure, person: PersonToErase) {
  const { account_id, ids, addresses } = person;
  const told = { ids: erasure.ids ?? [], addresses: erasure.addresses ?? [] };
  const columns = [...told.ids, ...told.addresses];
  if (columns.length === 0) return;
  const values = erasure.by ? [...ids] : await findSpeaking(db, erasure, person);
  for (const which of conditionsOf(erasure, values)) {
    const { rows } = await sql<Found>`select ${sql.join(columns.map((column) => sql.ref(column)))}
      from ${sql.table(erasure.table)} where account_id = ${account_id} and ${which}`.execute(db);
    for (const row of rows) {
      for (const column of told.ids) ids.add(row[column] ?? "");
      for (const column of told.addresses) addresses.add(row[column]?.toLowerCase() ?? "");
    }
  }
}

/** Ids of the rows that speak of a person; read page by page, so that nobody waits for it. */
export async function findSpeaking(db: Database, erasure: Erasure, person: PersonToErase): Promise<readonly string[]> {
  const { table, speaking = [], only = "1 = 1" } = erasure;
  if (speaking.length === 0) return [];
  const found: string[] = [];
  const columns = sql.join(["id", ...speaking].map((column) => sql.ref(column)));
  const page = (after: string) => sql<Found>`select ${columns} from ${sql.table(table)}
    where account_id = ${person.account_id} and ${sql.raw(only)} and id > ${after} order by id limit ${PAGE}`;
  for await (const row of pagesOf(db, page))
    if (speaking.some((column) => speaksOf(person, row[column]))) found.push(String(row.id));
  return found;
}

const PAGE = 1_000;

/** Rows in the order of their ids. */
export async function* pagesOf<T extends { readonly id?: unknown }>(
  db: Database,
  page: (after: string, limit: number) => { execute(db: Database): Promise<{ readonly rows: readonly T[] }> },
  after = "",
): AsyncGenerator<T> {
  const read = async (last: T | undefined) =>
    (await page(last === undefined ? after : String(last.id), PAGE).execute(db)).rows;
  for await (const rows of inPages(PAGE, read)) yield* rows;
}

/** @returns how many rows went: those with an id of the person's, and those that were found speaking of them. */
export async function eraseRows(
  db: Database,
  erasure: Erasure,
  { account_id, ids }: PersonToErase,
  speaking: readonly string[],
): Promise<number> {
  let gone = 0;
  for (const which of conditionsOf(erasure, erasure.by ? [...ids] : speaking)) {
    const { rows } = await sql`delete from ${sql.table(erasure.table)}
      where account_id = ${account_id} and ${which} returning account_id`.execute(db);
    gone += rows.length;
  }
  return gone;
}

/** Values that one statement names, once for each column: an engine binds some ten thousands of them. */
const BOUND = 500;

/** Conditions that together name every row that goes, each for a statement of its own. */
function* conditionsOf({ by = ["id"] }: Erasure, values: readonly string[]): Generator<RawBuilder<boolean>> {
  for (const some of slices(values, BOUND)) {
    const each = by.map((column) => sql`${sql.ref(column)} in (${sql.join(some)})`);
    yield sql<boolean>`(${sql.join(each, sql` or `)})`;
  }
}

/** Whether one of the values in a text, or in its JSON, is an id or address of the person's. */
export function speaksOf({ ids, addresses }: PersonToErase, text: string | null | undefined): boolean {
  return valuesIn(text).some((value) => ids.has(value) || addresses.has(value.toLowerCase()));
}

/** Pure. What begins as JSON and is none is a text: addresses may begin so. */
function valuesIn(text: string | null | undefined): readonly string[] {
  if (!text?.startsWith("{")) return text ? [text] : [];
  try {
    return leavesOf(JSON.parse(text));
  } catch {
    return [text];
  }
}

function leavesOf(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(leavesOf) : [];
}
