/** This side of the thread that keeps the log short. */
import { Worker } from "node:worker_threads";
import { builtFrom } from "./built-from.ts";

export interface Checkpointer {
  close(): Promise<void>;
}

/**
 * Left to itself, SQLite copies the log into the database in the middle of a commit, and whoever commits waits for two
 * flushes of the disk and for thousands of pages. A thread does it beside them instead; writers are held up only for
 * the last few pages of a log that has become long. Connections of the same server set `leaveCheckpoints`.
 */
export function openCheckpointer(path: string): Checkpointer {
  const worker = new Worker(new URL(builtFrom(new URL("./checkpoint-thread.ts", import.meta.url).href)), {
    workerData: path,
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
  });
  const gone = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  worker.on("error", ({ message }) =>
    process.emitWarning(
      `the thread that keeps the database's log short has ended; those who write do its work: ${message}`,
    ),
  );
  return {
    async close() {
      worker.postMessage("close");
      await gone;
    },
  };
}
