import { closeSync, fdatasync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { BrokenDisk } from "./errors.ts";

/** Brings what is committed to the disk, off the event loop. */
export interface Flusher {
  /** Resolves when everything that was committed before this call is on disk. */
  flush(): Promise<void>;
  close(): void;
}

/**
 * Flushes SQLite's write-ahead log. The database runs with `synchronous = normal`, so COMMIT appends to the log without
 * waiting for the disk; answering only after this flush is what makes a commit durable, and the event loop goes on meanwhile.
 * Calls that come while a flush is under way share the next one.
 *
 * After a failed flush nobody knows what is on disk, so every later one fails too: the process has to be started again.
 */
export function openFlusher(path: string): Flusher {
  const log = openSync(`${path}-wal`, "r+");
  syncFolder(dirname(path));
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let broken: Error | undefined;

  function sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (broken) return reject(broken);
      fdatasync(log, (error) => {
        if (!error) return resolve();
        broken = new BrokenDisk("the disk refused a flush; nothing more is written", { cause: error });
        reject(broken);
      });
    });
  }

  async function flush(): Promise<void> {
    if (running === undefined) {
      running = sync().finally(() => {
        running = undefined;
      });
      return running;
    }
    next ??= running
      .catch(() => {})
      .then(() => {
        next = undefined;
        return flush();
      });
    return next;
  }

  return { flush, close: () => closeSync(log) };
}

/** The names of database and log have to survive, too. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
