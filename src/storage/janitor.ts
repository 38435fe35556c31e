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
/** Batches that a sweep takes before the next one has its turn. */
const TURN = 20;

/**
 * Runs each sweep now and again, a bounded number of batches a round; the next round begins at once when one was not
 * done. A sweep that fails is reported and tried next time.
 */
export function startJanitor(
  storage: Storage,
  sweeps: readonly Sweep[],
  report: (name: string, error: unknown) => void,
  every = EVERY,
): Janitor {
  let stopped = false;
  let timer: NodeJS.Timeout;
  let running: Promise<void> = Promise.resolve();

  /** @returns whether a batch came back short. */
  async function takeTurn({ sweep }: Sweep): Promise<boolean> {
    for (let taken = 0; taken < TURN && !stopped; taken++) {
      if ((await sweep(storage, BATCH)) < BATCH) return true;
      await breathe();
    }
    return false;
  }

  /** @returns whether every sweep is done, or failed. */
  async function round(): Promise<boolean> {
    let done = true;
    for (const sweep of sweeps) {
      try {
        done = (await takeTurn(sweep)) && done;
      } catch (error) {
        report(sweep.name, error);
      }
    }
    return done;
  }

  async function work(): Promise<void> {
    while (!(await round()) && !stopped);
    if (!stopped) rest();
  }

  function rest(): void {
    timer = setTimeout(() => {
      running = work();
    }, every);
    timer.unref();
  }

  rest();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/** Leaves the disk to requests between two batches. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50).unref());
}
