/**
 * Migrations: numbered SQL files, forward only, applied in order under a lock, each in one transaction with the note that
 * it was applied. Expand first, contract in a later release, so that two neighbouring versions run side by side; a database
 * that is newer than this program is therefore no error.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { makeFolder } from "../config/make-folder.ts";
import { isSqlite, sqlitePath } from "../config.ts";
import type { SqliteFile } from "./sqlite/connection.ts";
import { makeOwn } from "./sqlite/make-own.ts";

const FOLDER = fileURLToPath(new URL("./migrations/", import.meta.url));

const CREATE = "create table if not exists migrations (name text primary key, applied_at text not null)";

interface Migration {
  readonly name: string;
  readonly sql: string;
}

/** Hears the name of a migration that waits for a table which somebody is using. */
export type OnWait = (migration: string) => void;

/** Hears what the database has of a newer version, where it has any. */
export type OnNewer = (migrations: readonly string[]) => void;

/**
 * Applies what is missing and returns the names applied. Two processes may start at once: each waits for the other.
 * `onWait` is called once for each that waits for a table.
 */
export async function migrate(
  database_url: string,
  onWait: OnWait = () => {},
  onNewer: OnNewer = () => {},
): Promise<string[]> {
  const { applied, newer } = isSqlite(database_url)
    ? await migrateSqlite(sqlitePath(database_url))
    : await migratePostgres(database_url, onWait);
  if (newer.length > 0) onNewer(newer);
  return applied;
}

interface Migrated extends Pick<Survey, "newer"> {
  readonly applied: string[];
}

export interface Survey {
  /** What this program knows and the database lacks. */
  readonly pending: string[];
  /** What the database has of a newer version, and this program does not know. */
  readonly newer: string[];
}

/** How the database's schema stands to this program's; changes nothing. */
export async function surveyMigrations(database_url: string): Promise<Survey> {
  const applied = isSqlite(database_url)
    ? await appliedSqlite(sqlitePath(database_url))
    : await appliedPostgres(database_url);
  const known = migrations();
  return { pending: missingOf(applied, known).map(({ name }) => name), newer: newerOf(applied, known) };
}

const missingOf = (applied: ReadonlySet<string>, known: readonly Migration[]): readonly Migration[] =>
  known.filter(({ name }) => !applied.has(name));

const newerOf = (applied: ReadonlySet<string>, known: readonly Migration[]): string[] =>
  [...applied].filter((name) => !known.some((one) => one.name === name));

export const pendingMigrations = async (database_url: string): Promise<string[]> =>
  (await surveyMigrations(database_url)).pending;

/** Those that this program knows, in order. */
export const migrationNames = (): string[] => migrations().map(({ name }) => name);

function migrations(): Migration[] {
  return readdirSync(FOLDER)
    .filter((file) => /^\d{4}_[a-z0-9_]+\.sql$/.test(file))
    .sort()
    .map((file) => ({ name: file.slice(0, -".sql".length), sql: readFileSync(`${FOLDER}${file}`, "utf8") }));
}

/**
 * PostgreSQL's column types are the spelling of record; SQLite gets its own names, strict tables, and rows kept in their
 * key, unless a comment inside a table has a semicolon.
 */
function toSqlite(sql: string): string {
  return sql
    .replace(/\bbigint\b/g, "integer")
    .replace(/\bbytea\b/g, "blob")
    .replace(/(create table [^;]*?\n\));/g, "$1 strict, without rowid;");
}

/** Text compares byte by byte on both engines; lines that begin with `-- postgres:` are for PostgreSQL alone. */
function toPostgres(sql: string): string {
  return sql.replace(/^-- postgres: /gm, "").replace(/^(\s+\w+ text)\b/gm, '$1 collate "C"');
}

async function migrateSqlite(path: string): Promise<Migrated> {
  const { openSqliteFile } = await import("./sqlite/connection.ts");
  const { describeTables } = await import("./sqlite/describe-tables.ts");
  makeFolder(dirname(path));
  makeOwn(path);
  const file = openSqliteFile(path);
  try {
    file.exec("pragma busy_timeout = 10000; pragma journal_mode = wal; pragma synchronous = full");
    file.exec("begin immediate");
    file.exec(CREATE);
    const applied = new Set(file.all("select name from migrations").map((row) => String(row.name)));
    const known = migrations();
    const missing = missingOf(applied, known);
    for (const { name, sql } of missing) {
      file.exec(toSqlite(sql));
      file.run("insert into migrations (name, applied_at) values (?, ?)", name, new Date().toISOString());
    }
    if (missing.length > 0 || !hasTable(file, "sqlite_stat1")) describeTables(file);
    file.exec("commit");
    return { applied: missing.map(({ name }) => name), newer: newerOf(applied, known) };
  } finally {
    file.close();
  }
}

function hasTable(file: SqliteFile, name: string): boolean {
  return file.all("select 1 from sqlite_schema where name = ?", name).length > 0;
}

/** Waits no longer for a server than a request does; for a lock and a migration it waits as long as they take. */
async function connect(database_url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database_url, connectionTimeoutMillis: 5_000 });
  // Where it breaks while nothing is asked, the next statement says so. Without a listener it would end the process.
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** Milliseconds that a migration waits for a table, and that whoever needs it meanwhile waits behind it. */
const LOCK_TIMEOUT = 1_000;
/** Milliseconds until it is tried again. */
const PAUSE = 2_000;

async function migratePostgres(database_url: string, onWait: OnWait): Promise<Migrated> {
  const client = await connect(database_url);
  const applied: string[] = [];
  let waiting: string | undefined;
  try {
    await createPostgresTable(client);
    for (;;) {
      const step = await applyNext(client);
      if (step.newer) return { applied, newer: step.newer };
      if (step.done) applied.push(step.name);
      else {
        if (waiting !== step.name) onWait(step.name);
        waiting = step.name;
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  } finally {
    await client.end();
  }
}

/** A table was not free, or what holds it waited for another one that the migration holds. */
const BUSY = new Set<string | undefined>(["55P03", "40P01"]);

/** The last of them is one of PostgreSQL 17. */
const TIMEOUTS = "'statement_timeout', 'lock_timeout', 'transaction_timeout'";

/** The migration whose turn it was, not `done` where its table was not free; or that none is missing. */
type Step =
  | { readonly name: string; readonly done: boolean; readonly newer?: undefined }
  | { readonly newer: string[] };

async function applyNext(client: pg.Client): Promise<Step> {
  let next: Migration | undefined;
  // What others applied while it waited for the lock is seen, whatever role or database say.
  await client.query("begin isolation level read committed");
  try {
    // A role's or database's own: an index takes as long as its table is large, and others may be making it.
    await client.query(`select set_config(name, '0', true) from pg_settings where name in (${TIMEOUTS})`);
    await client.query("lock table migrations in exclusive mode");
    const { rows } = await client.query<{ name: string }>("select name from migrations");
    const [applied, known] = [new Set(rows.map(({ name }) => name)), migrations()];
    next = missingOf(applied, known)[0];
    if (next) {
      await client.query(`set local lock_timeout = ${LOCK_TIMEOUT}`);
      await client.query(toPostgres(next.sql));
      const noted = [next.name, new Date().toISOString()];
      await client.query("insert into migrations (name, applied_at) values ($1, $2)", noted);
    }
    await client.query("commit");
    return next ? { name: next.name, done: true } : { newer: newerOf(applied, known) };
  } catch (error) {
    if (!next || !BUSY.has((error as { code?: string }).code)) throw error;
    await client.query("rollback");
    return { name: next.name, done: false };
  }
}

/** `if not exists` still fails for one of two that create it in the same instant; the table is there all the same. */
async function createPostgresTable(client: pg.Client): Promise<void> {
  try {
    await client.query(CREATE);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== "23505" && code !== "42P07") throw error;
  }
}

async function appliedSqlite(path: string): Promise<Set<string>> {
  if (!existsSync(path)) return new Set();
  const { openSqliteFile } = await import("./sqlite/connection.ts");
  const file = openSqliteFile(path);
  try {
    const there = hasTable(file, "migrations");
    return new Set(there ? file.all("select name from migrations").map((row) => String(row.name)) : []);
  } finally {
    file.close();
  }
}

async function appliedPostgres(database_url: string): Promise<Set<string>> {
  const client = await connect(database_url);
  try {
    const there = await client.query("select to_regclass('migrations') as name");
    if ((there.rows[0] as { name: string | null } | undefined)?.name === null) return new Set();
    const applied = await client.query<{ name: string }>("select name from migrations");
    return new Set(applied.rows.map((row) => row.name));
  } finally {
    await client.end();
  }
}
