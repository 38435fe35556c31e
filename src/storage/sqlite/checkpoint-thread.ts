/**
 * The thread that brings committed pages from the log to the database; see `checkpointer.ts`. Most of it happens beside
 * those who write (a passive checkpoint). A log that nobody ever stops writing to would only grow, so one that has
 * become long is finished with the writers held up (a full one), when there is little left to do: the next of them
 * begins the log anew.
 */
import { parentPort, workerData } from "node:worker_threads";
import { openConfigured } from "./open-file.ts";

/** Milliseconds between two looks at the log. */
const EVERY = 500;
/** Pages. */
const LONG = 2_000;
/** Milliseconds for which writers and readers are waited for; whoever was too busy is met at the next look. */
const PATIENCE = 20;

const file = openConfigured(workerData as string);
file.exec(`pragma busy_timeout = ${PATIENCE}`);

const look = setInterval(() => {
  try {
    const [seen] = file.all("pragma wal_checkpoint(passive)") as { log: number }[];
    if (seen && seen.log > LONG) file.all("pragma wal_checkpoint(full)");
  } catch {
    // A disk that takes nothing now: pages stay in the log, where everybody reads them, until the next look.
  }
}, EVERY);

parentPort?.on("message", () => {
  clearInterval(look);
  file.close();
  parentPort?.close();
});
