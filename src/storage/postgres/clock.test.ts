import os from "node:os";
import type pg from "pg";
import { afterEach, expect, it, vi } from "vitest";
import { createTestDatabase } from "../../../test/support/engines.ts";
import { openClock } from "./clock.ts";
import { openPostgres } from "./open-postgres.ts";

const MINUTES = 60_000;
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it("follows PostgreSQL, however far the machine's clock is set", async () => {
  const database = await createTestDatabase("postgres");
  const storage = await openPostgres({ url: database.database_url, strict: true });
  const began = performance.now() - Date.now();
  const off = () => Math.abs(storage.now() - (performance.now() - began));
  expect(off()).toBeLessThan(MINUTES);
  vi.useFakeTimers({ toFake: ["Date"] });
  for (const minutes of [10, -10]) {
    vi.setSystemTime(performance.now() - began + minutes * MINUTES);
    expect(off(), `at once, ${minutes} min`).toBeLessThan(MINUTES);
    // By then it has measured anew.
    await storage.ping();
    await storage.ping();
    expect(off(), `afterwards, ${minutes} min`).toBeLessThan(MINUTES);
  }
  await storage.close();
  await database.drop();
});

/** PostgreSQL as a process sees it whose machine can sleep: its clock goes on, the monotonic one stands still. */
async function openSleeper() {
  vi.useFakeTimers();
  const began = { uptime: os.uptime(), at: Date.now() };
  let slept = 0;
  vi.spyOn(os, "uptime").mockImplementation(() => began.uptime + (performance.now() + slept) / 1000);
  let answering = async () => {};
  const query = async () => {
    const now = began.at + performance.now() + slept;
    await answering();
    return { rows: [{ now }] };
  };
  const clock = await openClock({ query } as unknown as pg.Pool);
  return {
    clock,
    off: () => clock.now() - (began.at + performance.now() + slept),
    /** `told`: whether the machine itself knows that it slept, as one whose hypervisor stopped it does not. */
    sleep: (minutes: number, told: boolean) => {
      const at = Date.now();
      vi.setSystemTime(at + minutes * MINUTES);
      slept += minutes * MINUTES;
      if (!told) began.uptime -= minutes * (MINUTES / 1000);
    },
    answer: (when: () => Promise<void>) => {
      answering = when;
    },
  };
}

const nothing = () => new Promise<void>(() => {});
const at_once = async () => {};
const broken = async () => {
  throw new Error("the connection died meanwhile");
};

it("goes on with PostgreSQL after a sleep, before anything was measured", async () => {
  const { clock, off, sleep, answer } = await openSleeper();
  answer(nothing);
  sleep(10, true);
  expect(Math.abs(off())).toBeLessThan(100);
  clock.stop();
});

it.each(["asks", "only measures"])(
  "measures again until somebody answers, where a process that woke %s",
  async (how) => {
    const { clock, off, sleep, answer } = await openSleeper();
    answer(broken);
    if (how === "only measures") await vi.advanceTimersByTimeAsync(29_000);
    sleep(10, false);
    if (how === "asks") expect(off()).toBeLessThan(-9 * MINUTES);
    await vi.advanceTimersByTimeAsync(5_000);
    answer(at_once);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(Math.abs(off())).toBeLessThan(100);
    clock.stop();
  },
);

it("throws away what was measured across a sleep", async () => {
  const { clock, off, sleep, answer } = await openSleeper();
  let wake: () => void = () => {};
  answer(() => new Promise((resolve) => (wake = resolve)));
  await vi.advanceTimersByTimeAsync(30_000);
  answer(broken);
  sleep(10, true);
  expect(Math.abs(off())).toBeLessThan(100);
  answer(at_once);
  wake();
  for (const later of [0, 2_000]) {
    await vi.advanceTimersByTimeAsync(later);
    expect(Math.abs(off()), `${later} ms later`).toBeLessThan(100);
  }
  clock.stop();
});
