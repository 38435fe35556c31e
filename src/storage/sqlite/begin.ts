import type { SqliteFile } from "./connection.ts";
import { sqliteCode } from "./errors.ts";

/** Milliseconds between two attempts. */
const PAUSE = 5;

/**
 * Begins a transaction that may write. While another process holds the file it is tried again by a timer, so that this
 * thread goes on with whatever else it has to do: the driver's own wait would stop it. Before each further attempt
 * `giveUp` hears what stood against the last.
 *
 * @throws what stands against it, where nobody holds the file or `giveUp` says so.
 */
export async function begin(file: SqliteFile, giveUp: (held: unknown) => boolean): Promise<void> {
  for (;;) {
    try {
      file.run("begin immediate");
      return;
    } catch (error) {
      if (sqliteCode(error) !== "SQLITE_BUSY" || giveUp(error)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

/** For a connection on which `begin` waits. */
export function leaveWaiting(file: SqliteFile): void {
  file.exec("pragma busy_timeout = 0");
}
