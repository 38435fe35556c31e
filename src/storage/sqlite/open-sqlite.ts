import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Storage } from "../storage.ts";
import { openSqliteFile, type SqliteFile } from "./connection.ts";
import { kyselyOn } from "./dialect.ts";
import { openFlusher } from "./flusher.ts";
import { openGroupCommit } from "./group-commit.ts";

export interface SqliteOptions {
  readonly path: string;
  /** A server owns its file; commands work beside it. */
  readonly exclusive: boolean;
  readonly strict: boolean;
  readonly onQuery?: (sql: string) => void;
}

const PRAGMAS = [
  "journal_mode = wal",
  // The flusher brings commits to the disk before anybody is answered.
  "synchronous = normal",
  "busy_timeout = 5000",
  "temp_store = memory",
  "cache_size = -16000",
  "wal_autocheckpoint = 4000",
];

/**
 * The embedded engine: one writer with group commit, one reader that cannot write, both in WAL mode.
 *
 * @throws when the file is owned by another running server.
 */
export function openSqlite(options: SqliteOptions): Storage {
  mkdirSync(dirname(options.path), { recursive: true });
  const ownership = options.exclusive ? takeOwnership(options.path) : undefined;
  const writer = openConfigured(options);
  const reader = openConfigured(options);
  reader.exec("pragma query_only = 1");
  // The first transaction makes sure that there is a log to flush.
  writer.exec(
    "begin immediate; create table if not exists migrations (name text primary key, applied_at text not null); commit",
  );
  const flusher = openFlusher(options.path);
  const group = openGroupCommit(writer, flusher.flush, options.strict);
  return {
    engine: "sqlite",
    read: kyselyOn(reader),
    write: group.write,
    hot: group.hot,
    now: Date.now,
    async ping() {
      reader.all("select 1");
    },
    async close() {
      await group.idle();
      flusher.close();
      reader.close();
      writer.close();
      ownership?.close();
    },
  };
}

function openConfigured(options: SqliteOptions): SqliteFile {
  const file = openSqliteFile(options.path, options.onQuery);
  for (const pragma of PRAGMAS) file.exec(`pragma ${pragma}`);
  return file;
}

/**
 * A lock that the operating system drops when the process dies, however it dies: an exclusive transaction on a small file
 * beside the database, held for as long as the server runs.
 */
function takeOwnership(path: string): SqliteFile {
  const lock = openSqliteFile(`${path}-owner`);
  try {
    lock.exec("pragma busy_timeout = 0");
    lock.exec("begin exclusive");
    return lock;
  } catch (error) {
    lock.close();
    throw new Error(
      `DATABASE_URL: ${path} is in use by another running server. Stop it, or use PostgreSQL for several processes.`,
      {
        cause: error,
      },
    );
  }
}
