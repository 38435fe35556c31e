import type { Storage } from "./storage.ts";

/** Removes what a room no longer needs, a small batch at a time; returns how many rows went. Reads never depend on it. */
export interface Sweep {
  readonly name: string;
  sweep(storage: Storage, batch: number): Promise<number>;
}

export interface Janitor {
  stop(): Promise<void>;
}

const EVERY = 60_000;
const BATCH = 500;

/** Runs each sweep now and again until a batch comes back short. A sweep that fails is reported and tried next time. */
export function startJanitor(
  storage: Storage,
  sweeps: readonly Sweep[],
  report: (name: string, error: unknown) => void,
  every = EVERY,
): Janitor {
  let stopped = false;
  let running: Promise<void> = Promise.resolve();

  async function round(): Promise<void> {
    for (const { name, sweep } of sweeps) {
      try {
        while (!stopped && (await sweep(storage, BATCH)) === BATCH) await breathe();
      } catch (error) {
        report(name, error);
      }
    }
  }

  const timer = setInterval(() => {
    running = running.then(round);
  }, every);
  timer.unref();
  return {
    async stop() {
      stopped = true;
      clearInterval(timer);
      await running;
    },
  };
}

/** Leaves the disk to requests between two batches. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50).unref());
}
