import { describe, expect, it } from "vitest";
import { type GuessWindow, isShut, NOT_BEGUN, nextWindow, type Step, wasCompared, windowEnds } from "./guess-window.ts";

const HOUR = 3_600_000;
const NOW = Date.parse("2026-01-01T00:00:00.000Z");
const at = (milliseconds: number) => new Date(NOW + milliseconds).toISOString();

const step = (fields: Partial<Step> = {}): Step => ({
  now: at(0),
  limit: 10,
  wrong: false,
  right: false,
  strong: false,
  ...fields,
});
const wrong = (fields: Partial<Step> = {}) => step({ wrong: true, ...fields });
const right = (fields: Partial<Step> = {}) => step({ right: true, ...fields });
const window = (fields: Partial<GuessWindow> = {}): GuessWindow => ({
  count: 3,
  window_ends_at: at(HOUR),
  level: 1,
  failures: 3,
  ...fields,
});

describe("a person's guess window", () => {
  it("lasts an hour, doubles at each level, and ends within a day", () => {
    expect(windowEnds(NOW)).toEqual([1, 2, 4, 8, 16, 24].map((hours) => at(hours * HOUR)));
  });

  it("begins with the first wrong guess, at the length of its level", () => {
    const first = { count: 1, window_ends_at: at(HOUR), level: 0, failures: 1 };
    expect(nextWindow(undefined, wrong())).toEqual(first);
    expect(nextWindow(undefined, right())).toEqual({ count: 0, window_ends_at: NOT_BEGUN, level: 0, failures: 0 });
    const ended = window({ window_ends_at: at(-1), count: 9, level: 3, failures: 30 });
    expect(nextWindow(ended, wrong())).toEqual({ count: 1, window_ends_at: at(8 * HOUR), level: 3, failures: 31 });
    expect(nextWindow(window({ window_ends_at: at(0) }), wrong())).toMatchObject({ count: 1 });
    const old = window({ window_ends_at: at(-1), level: 12 });
    expect(nextWindow(old, wrong())).toMatchObject({ window_ends_at: at(24 * HOUR) });
  });

  it("counts wrong guesses, and grows a level with the one that uses it up", () => {
    expect(nextWindow(window(), wrong())).toEqual(window({ count: 4, failures: 4 }));
    const used = nextWindow(window({ count: 9, failures: 9 }), wrong());
    expect(used).toEqual(window({ count: 10, level: 2, failures: 10 }));
    expect(wasCompared(used, wrong())).toBe(true);
    const beyond = nextWindow(used, wrong());
    expect(beyond).toEqual(window({ count: 11, level: 2, failures: 10 }));
    expect(wasCompared(beyond, wrong())).toBe(false);
    expect(nextWindow(window(), step())).toEqual(window());
  });

  it("gives nothing of the running window back for a right code, but begins at the bottom afterwards", () => {
    expect(nextWindow(window({ count: 9 }), right())).toEqual(window({ count: 9, level: 0, failures: 0 }));
    expect(wasCompared(window({ count: 9 }), right())).toBe(true);
    expect(wasCompared(window({ count: 10 }), right())).toBe(false);
    const full = window({ count: 10, level: 2, failures: 10 });
    expect(nextWindow(full, right()), "numeric: not compared, so not right").toEqual(full);
    expect(nextWindow(full, right({ strong: true }))).toEqual({ ...full, level: 0, failures: 0 });
  });

  it("stays shut after fifty wrong guesses until a strong code succeeded, however much time passes", () => {
    const later = { now: at(100 * HOUR) };
    const fifty = window({ count: 10, failures: 50 });
    expect(nextWindow(fifty, wrong(later))).toEqual({ ...fifty, count: 11 });
    expect(nextWindow(window({ count: 2, failures: 50 }), wrong(later)), "a place beyond the limit").toMatchObject({
      count: 11,
    });
    expect(nextWindow(fifty, right(later))).toEqual(fifty);
    expect(nextWindow(window({ count: 2, failures: 50 }), right(later))).toMatchObject({ count: 2, failures: 50 });
    expect(wasCompared(window({ count: 0, failures: 50 }), right(later))).toBe(false);
    expect(wasCompared(window({ count: 0, failures: 49 }), right(later))).toBe(true);
    expect(nextWindow(window({ failures: 49 }), wrong())).toMatchObject({ count: 4, failures: 50 });
    expect(nextWindow(fifty, right({ ...later, strong: true }))).toMatchObject({ failures: 0, level: 0 });
  });

  it("says whether numeric codes are closed", () => {
    expect(isShut(undefined, 10, at(0))).toBe(false);
    expect(isShut(window({ count: 9 }), 10, at(0))).toBe(false);
    expect(isShut(window({ count: 10 }), 10, at(0))).toBe(true);
    expect(isShut(window({ count: 10 }), 10, at(HOUR)), "its time is over").toBe(false);
    expect(isShut(window({ count: 10 }), 10, at(HOUR - 1))).toBe(true);
    expect(isShut(window({ count: 0, failures: 49 }), 10, at(0))).toBe(false);
    expect(isShut(window({ count: 0, failures: 50 }), 10, at(100 * HOUR))).toBe(true);
  });
});
