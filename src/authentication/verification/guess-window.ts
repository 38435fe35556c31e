/**
 * The guess budget of one person: how many wrong numeric codes anybody may present in their name. 1 h, doubled each time it
 * is used up, at most 24 h; back to 1 h after a success. A success gives no guess of the running window back. After
 * `FAILURES_LIMIT` wrong guesses without a success, numeric codes stay closed until a typable code or link succeeded.
 *
 * SQLite uses these functions; the PostgreSQL body says the same in SQL, and one suite compares the two.
 */
import { type Instant, instant } from "../../storage/storage.ts";

export const FAILURES_LIMIT = 50;

/**
 * The end of a window that nobody has begun. Not the time of the step that made the row: one that was under way a
 * moment longer would take the window for open, and the next would begin it anew, with a guess that nobody has counted.
 */
export const NOT_BEGUN: Instant = instant(0);

const HOUR = 3_600_000;
const LONGEST = 24 * HOUR;
/** Levels beyond this one make no window longer. */
const LAST_LEVEL = 5;

export interface GuessWindow {
  readonly count: number;
  readonly window_ends_at: Instant;
  readonly level: number;
  readonly failures: number;
}

/** What one attempt does to the window: a wrong numeric guess, or a success. */
export interface Step {
  readonly now: Instant;
  readonly limit: number;
  readonly wrong: boolean;
  /** A right code of any format, of somebody of whom no second factor is asked: with one, that is the success (`finish.ts`). */
  readonly right: boolean;
  /** The right code was typable or a link, so it counts while numeric codes are closed. */
  readonly strong: boolean;
}

/** When a window that begins now ends, for each level. */
export function windowEnds(now: number): readonly Instant[] {
  return Array.from({ length: LAST_LEVEL + 1 }, (_, level) => instant(now + Math.min(HOUR * 2 ** level, LONGEST)));
}

export function nextWindow(before: GuessWindow | undefined, step: Step): GuessWindow {
  const { count, window_ends_at, level, failures } = before ?? {
    count: 0,
    window_ends_at: NOT_BEGUN,
    level: 0,
    failures: 0,
  };
  const wrong = step.wrong ? 1 : 0;
  const open = window_ends_at > step.now;
  const shut = failures >= FAILURES_LIMIT || (open && count >= step.limit);
  const forgiven = step.right && (step.strong || !shut);
  // Once shut, a place beyond the limit says that this guess was not compared.
  const place = shut ? Math.max(count, step.limit) + wrong : (open ? count : 0) + wrong;
  const begins = !open && !shut && step.wrong;
  const closes = !shut && step.wrong && place >= step.limit;
  return {
    count: shut && !step.wrong ? count : place,
    window_ends_at: begins
      ? (windowEnds(Date.parse(step.now))[Math.min(level, LAST_LEVEL)] ?? window_ends_at)
      : window_ends_at,
    level: forgiven ? 0 : closes ? level + 1 : level,
    failures: forgiven ? 0 : shut ? failures : failures + wrong,
  };
}

/** Whether the attempt that left this window behind was compared at all. */
export function wasCompared(after: GuessWindow, step: { readonly wrong: boolean; readonly limit: number }): boolean {
  if (step.wrong) return after.count <= step.limit;
  return after.count < step.limit && after.failures < FAILURES_LIMIT;
}

/** Whether numeric codes are closed for the person at this time. */
export function isShut(window: GuessWindow | undefined, limit: number, now: Instant): boolean {
  if (!window) return false;
  return window.failures >= FAILURES_LIMIT || (window.window_ends_at > now && window.count >= limit);
}
