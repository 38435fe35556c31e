import type pg from "pg";
import { mapUnavailable } from "./errors.ts";

export interface Clock {
  /** Milliseconds since the epoch by PostgreSQL's clock, as measured a moment ago. */
  now(): number;
  stop(): void;
}

const MEASURE_EVERY = 30_000;
/** The machine's clock moved by more than a slow correction would in one interval: it was set, or the machine slept. */
const JUMP = 500;

/**
 * Every process follows PostgreSQL's clock: what it measured goes on by the monotonic clock, so that setting the machine's clock changes
 * nothing. The monotonic clock stands still while a machine sleeps, so a jump of the other one is a reason to measure at once. A
 * failed measurement keeps the last.
 */
export async function openClock(pool: pg.Pool): Promise<Clock> {
  let ahead = await measure(pool);
  let apart = Date.now() - performance.now();
  const timer = setInterval(again, MEASURE_EVERY);
  timer.unref();

  function again(): void {
    apart = Date.now() - performance.now();
    measure(pool).then(
      (measured) => {
        ahead = measured;
      },
      () => {},
    );
  }

  return {
    now() {
      const monotonic = performance.now();
      if (Math.abs(Date.now() - monotonic - apart) > JUMP) again();
      return Math.round(monotonic + ahead);
    },
    stop: () => clearInterval(timer),
  };
}

/** @returns how far PostgreSQL's clock is ahead of the monotonic one. */
async function measure(pool: pg.Pool): Promise<number> {
  const before = performance.now();
  const { rows } = await pool
    .query<{ now: number }>("select (extract(epoch from clock_timestamp()) * 1000)::bigint as now")
    .catch((error: unknown) => {
      throw mapUnavailable(error);
    });
  const after = performance.now();
  return (rows[0]?.now ?? Date.now()) - (before + after) / 2;
}
