/**
 * SQLite behind the verbs of `storage.ts`, all in WAL mode: one writer, whose transactions share a commit and its flush
 * (`group-commit.ts`), and one reader that cannot write. A server's hot statements run on a thread of their own
 * (`thread.ts`), and another thread keeps the log short (`checkpointer.ts`).
 *
 * In: a path. Out: an `EngineStorage`. A server owns its file until it stops; commands work beside it.
 */
import { existsSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import { makeFolder } from "../../config/make-folder.ts";
import type { EngineStorage } from "../storage.ts";
import { openCheckpointer } from "./checkpointer.ts";
import { openSqliteFile, type SqliteFile } from "./connection.ts";
import { kyselyOn } from "./dialect.ts";
import { BrokenDisk, mapUnavailable, sqliteCode } from "./errors.ts";
import { openFlusher } from "./flusher.ts";
import { openGroupCommit } from "./group-commit.ts";
import { closeTo, makeOwn } from "./make-own.ts";
import { leaveCheckpoints, openConfigured } from "./open-file.ts";
import { openWriterThread } from "./thread.ts";

export interface SqliteOptions {
  readonly path: string;
  /** A server owns its file, and writes to it on a thread of its own; commands work beside it. */
  readonly exclusive: boolean;
  readonly strict: boolean;
  readonly onQuery?: (sql: string) => void;
}

/** Milliseconds for which whoever writes waits for another process that writes. */
const PATIENCE = 5_000;
/** … a command beside a busy server, which would rather wait than fail; it keeps nobody else waiting. */
const OF_COMMANDS = 30_000;

/** Makes the file where there is none. @throws when it is owned by another running server. */
export function openSqlite({ path: named, exclusive, strict, onQuery }: SqliteOptions): EngineStorage {
  makeFolder(dirname(named));
  // SQLite keeps its log beside the file itself, whatever link led there.
  const path = existsSync(named) ? realpathSync(named) : named;
  const ownership = exclusive ? takeOwnership(path) : undefined;
  const patience = exclusive ? PATIENCE : OF_COMMANDS;
  const writer = openConfigured(path, onQuery);
  writer.exec(`pragma busy_timeout = ${patience}`);
  if (exclusive) leaveCheckpoints(writer);
  const reader = openConfigured(path, onQuery);
  reader.exec("pragma query_only = 1");
  // The first transaction makes sure that there is a log to flush.
  writer.exec(
    "begin immediate; create table if not exists migrations (name text primary key, applied_at text not null); commit",
  );
  const flusher = openFlusher(path);
  const thread = exclusive ? openWriterThread({ path, watched: onQuery !== undefined }, onQuery) : undefined;
  const checkpointer = exclusive ? openCheckpointer(path) : undefined;
  const group = openGroupCommit({ file: writer, flush: flusher.flush, strict, patience, thread });
  let broken: BrokenDisk | undefined;
  const told = <T>(work: Promise<T>) =>
    work.catch((error: unknown) => {
      if (error instanceof BrokenDisk) broken = error;
      throw mapUnavailable(error);
    });
  return {
    engine: "sqlite",
    read: kyselyOn(reader),
    write: (work) => told(group.write(work)),
    hot: (statement, input) => told(group.hot(statement, input)),
    now: Date.now,
    async ping() {
      // It still answers, but only starting the process again brings it back: whoever watches over it has to learn of it.
      if (broken) throw broken;
      reader.all("select 1");
    },
    async close() {
      await group.idle();
      await thread?.close();
      await checkpointer?.close();
      flusher.close();
      reader.close();
      writer.close();
      ownership?.close();
    },
  };
}

/**
 * A lock that the operating system drops when the process dies, however it dies: an exclusive transaction on a small file
 * beside the database, held for as long as the server runs. Nobody else may open it who may not open the database.
 */
function takeOwnership(path: string): SqliteFile {
  const owner = `${path}-owner`;
  makeOwn(owner);
  closeTo(owner, path);
  const lock = openSqliteFile(owner);
  try {
    lock.exec("pragma busy_timeout = 0");
    lock.exec("begin exclusive");
    return lock;
  } catch (error) {
    lock.close();
    if (sqliteCode(error) !== "SQLITE_BUSY") throw error;
    throw new Error(
      `DATABASE_URL: ${path} is in use by another running server. Stop it, or use PostgreSQL for several processes.`,
    );
  }
}
