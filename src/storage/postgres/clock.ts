import type pg from "pg";
import { mapUnavailable } from "./errors.ts";

export interface Clock {
  /** Milliseconds since the epoch by PostgreSQL's clock, as measured a moment ago. */
  now(): number;
  stop(): void;
}

const MEASURE_EVERY = 30_000;

/** Every process follows PostgreSQL's clock: it measures its own offset now and again. A failed measurement keeps the last. */
export async function openClock(pool: pg.Pool): Promise<Clock> {
  let offset = await measureOffset(pool);
  const timer = setInterval(() => {
    measureOffset(pool).then(
      (measured) => {
        offset = measured;
      },
      () => {},
    );
  }, MEASURE_EVERY);
  timer.unref();
  return { now: () => Date.now() + offset, stop: () => clearInterval(timer) };
}

async function measureOffset(pool: pg.Pool): Promise<number> {
  const before = Date.now();
  const { rows } = await pool
    .query<{ now: number }>("select (extract(epoch from clock_timestamp()) * 1000)::bigint as now")
    .catch((error: unknown) => {
      throw mapUnavailable(error);
    });
  const after = Date.now();
  return Math.round((rows[0]?.now ?? after) - (before + after) / 2);
}
