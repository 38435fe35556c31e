/** Rows that are of no more use go, in batches, and nobody notices. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { codeSweep, REMEMBERED } from "../../src/authentication/verification/verification.ts";
import { budgetSweep, takeBudget } from "../../src/limits/limits.ts";
import { startJanitor } from "../../src/storage/janitor.ts";
import { migrate, pendingMigrations } from "../../src/storage/migrate.ts";
import { createTestDatabase, describeOnBothEngines, openTestStorage, type TestStorage } from "../support/engines.ts";
import { until } from "../support/smtp.ts";
import { insertCode, insertLogin } from "../support/verification.ts";

const HOUR = 3_600_000;

describeOnBothEngines("the janitor", (engine) => {
  let test: TestStorage;
  beforeAll(async () => {
    test = await openTestStorage(engine);
  });
  afterAll(() => test.close());
  const codes = async () =>
    (await test.storage.read.selectFrom("verification_codes").select("id").execute()).map(({ id }) => id);

  it("removes codes a day after they expired, a batch at a time, and no others", async () => {
    const { storage } = test;
    const login = await insertLogin(storage);
    const now = storage.now();
    for (let n = 0; n < 7; n++) await insertCode(storage, login, { created_at: now - REMEMBERED - HOUR - n });
    const kept = [
      await insertCode(storage, login),
      await insertCode(storage, login, { created_at: now - REMEMBERED + HOUR }),
    ].map(({ id }) => id);
    expect(await codeSweep.sweep(storage, 5)).toBe(5);
    expect(await codeSweep.sweep(storage, 5)).toBe(2);
    expect(await codeSweep.sweep(storage, 5)).toBe(0);
    expect((await codes()).toSorted()).toEqual(kept.toSorted());
  });

  it("removes budgets whose window is long over", async () => {
    const { storage } = test;
    const budget = { account_id: "T00000001", budget: "typable_guess", subject: "old", limit: 5 } as const;
    await takeBudget(storage, budget, storage.now() - 10 * 24 * HOUR);
    await takeBudget(storage, { ...budget, subject: "new" }, storage.now());
    expect(await budgetSweep.sweep(storage, 100)).toBe(1);
    const left = await storage.read.selectFrom("budgets").select("subject").execute();
    expect(left).toEqual([{ subject: "new" }]);
  });

  it("goes on with the next sweep when one fails, and tries again", async () => {
    let rounds = 0;
    const failures: string[] = [];
    const failing = { name: "failing", sweep: () => Promise.reject(new Error("no")) };
    const working = {
      name: "working",
      async sweep() {
        rounds += 1;
        return 0;
      },
    };
    const janitor = startJanitor(test.storage, [failing, working], (name) => failures.push(name), 10);
    await until("three rounds", () => (rounds >= 3 ? true : undefined));
    await janitor.stop();
    expect(failures.length).toBeGreaterThanOrEqual(3);
    const after = rounds;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(rounds).toBe(after);
  });

  it("is not needed by two processes that migrate one database at once", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    expect(await Promise.all([migrate(database_url), migrate(database_url)])).toEqual([[], []]);
    expect(await pendingMigrations(database_url)).toEqual([]);
    await drop();
  });
});
