import os from "node:os";
import type pg from "pg";
import { mapUnavailable } from "./errors.ts";

export interface Clock {
  /** Milliseconds since the epoch by PostgreSQL's clock, as measured a moment ago. */
  now(): number;
  stop(): void;
}

const MEASURE_EVERY = 30_000;
/** How soon it is tried again when a measurement failed that is needed. */
const RETRY_AFTER = 1_000;
/** The machine's clock moved by more than a slow correction would in one interval: it was set, or the machine slept. */
const JUMP = 500;
/** How often PostgreSQL is asked at a time; the answer that came soonest says most. */
const TRIES = 3;
/** How far the monotonic clock may go wrong by itself, a millisecond in each. */
const DRIFT = 1e-4;

interface Measurement {
  /** How far PostgreSQL's clock is ahead of the monotonic one. */
  readonly ahead: number;
  /** Half of the time that the answer took: it was somewhere in there. */
  readonly unsure: number;
  /** By the monotonic clock. */
  readonly at: number;
}

/**
 * Every process follows PostgreSQL's clock: what it measured goes on by the monotonic clock, so that setting the
 * machine's clock changes nothing. The monotonic clock stands still while a machine sleeps: what the machine itself
 * knows of that is added at once, and any jump is a reason to measure until somebody answers. A measurement that
 * failed otherwise, or says less than the one before, changes nothing: so processes agree although some are busy.
 */
export async function openClock(pool: pg.Pool): Promise<Clock> {
  let best = await measure(pool);
  let apart = Date.now() - performance.now();
  let slept = sleptSoFar();
  let latest = 0;
  let retry: NodeJS.Timeout | undefined;
  const timer = setInterval(again, MEASURE_EVERY);
  timer.unref();

  const jumped = (monotonic: number) => Math.abs(Date.now() - monotonic - apart) > JUMP;

  async function again(): Promise<void> {
    const monotonic = performance.now();
    const asleep = sleptSoFar() - slept;
    // Whatever is measured next says more, be it now or, when that fails, later.
    if (jumped(monotonic)) best = { ...best, ahead: best.ahead + asleep, unsure: Number.POSITIVE_INFINITY };
    [apart, slept] = [Date.now() - monotonic, slept + asleep];
    const turn = ++latest;
    clearTimeout(retry);
    const measured = await measure(pool).catch(() => undefined);
    // One that began before a jump says nothing about the time after it.
    if (turn !== latest) return;
    if (measured && measured.unsure <= best.unsure + (measured.at - best.at) * DRIFT) best = measured;
    if (best.unsure === Number.POSITIVE_INFINITY) retry = setTimeout(again, RETRY_AFTER).unref();
  }

  return {
    now() {
      const monotonic = performance.now();
      if (jumped(monotonic)) void again();
      return Math.round(monotonic + best.ahead);
    },
    stop() {
      latest++;
      clearInterval(timer);
      clearTimeout(retry);
    },
  };
}

/** Milliseconds that the monotonic clock lacks of the machine's uptime. */
const sleptSoFar = () => os.uptime() * 1000 - performance.now();

async function measure(pool: pg.Pool): Promise<Measurement> {
  const measured = [];
  for (let tries = 0; tries < TRIES; tries++) measured.push(await ask(pool));
  return measured.reduce((one, other) => (other.unsure < one.unsure ? other : one));
}

async function ask(pool: pg.Pool): Promise<Measurement> {
  const before = performance.now();
  const { rows } = await pool
    .query<{ now: number }>("select (extract(epoch from clock_timestamp()) * 1000)::bigint as now")
    .catch((error: unknown) => {
      throw mapUnavailable(error);
    });
  const at = performance.now();
  return { ahead: (rows[0]?.now ?? Date.now()) - (before + at) / 2, unsure: (at - before) / 2, at };
}
