import { openSqliteFile, type SqliteFile } from "./connection.ts";

const PRAGMAS = [
  "journal_mode = wal",
  // The flusher brings commits to the disk before anybody is answered.
  "synchronous = normal",
  "temp_store = memory",
  "cache_size = -16000",
  "wal_autocheckpoint = 4000",
  // Bytes. A log that was longer once gives the rest back when it begins anew: else it keeps, on a full disk, the room
  // that the database needs.
  "journal_size_limit = 16777216",
];

/** A connection as every one of ours is set up. `onQuery` sees every text that is executed. */
export function openConfigured(path: string, onQuery?: (sql: string) => void): SqliteFile {
  const file = openSqliteFile(path, onQuery);
  for (const pragma of PRAGMAS) file.exec(`pragma ${pragma}`);
  return file;
}

/**
 * For connections of a server, whose log is kept short by a thread; only if that one does not keep up do they copy
 * pages themselves.
 */
export function leaveCheckpoints(file: SqliteFile): void {
  file.exec("pragma wal_autocheckpoint = 32000");
}
