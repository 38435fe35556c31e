/** Rows that are of no more use go, in batches, and nobody notices. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserSweeps } from "../../src/authentication/sessions/session.ts";
import { codeSweep, REMEMBERED } from "../../src/authentication/verification/verification.ts";
import { budgetSweep, takeBudget } from "../../src/limits/limits.ts";
import { type Sweep, startJanitor } from "../../src/storage/janitor.ts";
import { migrate, pendingMigrations } from "../../src/storage/migrate.ts";
import { openStorage } from "../../src/storage/open.ts";
import { instant, type Storage } from "../../src/storage/storage.ts";
import { createTestDatabase, describeOnBothEngines, openTestStorage, type TestStorage } from "../support/engines.ts";
import { until } from "../support/smtp.ts";
import { insertCode, insertLogin } from "../support/verification.ts";

const HOUR = 3_600_000;

describeOnBothEngines("the janitor", (engine) => {
  let test: TestStorage;
  const statements: string[] = [];
  beforeAll(async () => {
    test = await openTestStorage(engine, (text) => statements.push(text));
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

  it("removes a batch by one statement, however far the database is", async () => {
    const { storage } = test;
    const now = storage.now();
    const login = await insertLogin(storage);
    for (let n = 0; n < 3; n++) await insertCode(storage, login, { created_at: now - REMEMBERED - HOUR - n });
    const budget = { account_id: "T00000001", budget: "typable_guess", limit: 5 } as const;
    for (const subject of ["a", "b", "c"])
      await takeBudget(storage, { ...budget, subject }, storage.now() - 10 * 24 * HOUR);
    statements.length = 0;
    expect(await codeSweep.sweep(storage, 5)).toBe(3);
    expect(await budgetSweep.sweep(storage, 5)).toBe(3);
    const asked = statements.filter((text) => /\bfrom\b/.test(text));
    expect(asked.map((text) => text.split(" where ")[0])).toEqual([
      'delete from "verification_codes"',
      'delete from "budgets"',
    ]);
  });

  it("counts what has several rows under one name by its rows", async () => {
    const { storage } = test;
    const [swept, kept] = [instant(0), instant(storage.now())];
    const of = { account_id: "T00000001", session_id: "s", client_id: "c", created_at: swept };
    const rows = ["a", "b", "c"].map((sid) => ({ ...of, sid, expires_at: swept }));
    await storage.write((tx) =>
      tx.db
        .insertInto("session_authorizations")
        .values([...rows, { ...of, sid: "d", expires_at: kept }])
        .execute(),
    );
    const sweep = browserSweeps.find(({ name }) => name === "authorizations of sessions");
    expect([await sweep?.sweep(storage, 2), await sweep?.sweep(storage, 2)]).toEqual([2, 1]);
    const left = await storage.read.selectFrom("session_authorizations").select("sid").execute();
    expect(left).toEqual([{ sid: "d" }]);
  });

  it("comes to every sweep, over and over, while one never comes to its end", async () => {
    let rounds = 0;
    const endless = { name: "endless", sweep: async (_: unknown, batch: number) => batch };
    const next = {
      name: "next",
      async sweep() {
        rounds += 1;
        return 0;
      },
    };
    const janitor = startJanitor(test.storage, [endless, next], () => {}, 10);
    await until("the next sweep's second turn", () => (rounds >= 2 ? true : undefined));
    await janitor.stop();
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

describe("sweeps of several processes (postgres)", () => {
  const BEFORE = REMEMBERED + HOUR;
  let here: TestStorage;
  let there: Storage;
  beforeAll(async () => {
    here = await openTestStorage("postgres");
    there = await openStorage({ database_url: here.database_url });
  });
  afterAll(async () => {
    await there.close();
    await here.close();
  });

  const sweeps: readonly [string, Sweep, (id: number) => Promise<unknown>][] = [
    [
      "codes",
      codeSweep,
      async (n) =>
        insertCode(here.storage, await insertLogin(here.storage), { created_at: here.storage.now() - BEFORE - n }),
    ],
    [
      "budgets",
      budgetSweep,
      (n) =>
        takeBudget(
          here.storage,
          { account_id: "T00000001", budget: "typable_guess", limit: 5, subject: String(n) },
          here.storage.now() - 10 * 24 * HOUR,
        ),
    ],
  ];

  it.each(sweeps)("share the %s, and neither waits for the other", async (_, sweep, insert) => {
    for (let n = 0; n < 7; n++) await insert(n);
    await here.storage.write(async (tx) => {
      const mine = await sweep.sweep({ ...here.storage, write: (work) => work(tx) }, 4);
      expect([mine, await sweep.sweep(there, 4)]).toEqual([4, 3]);
    });
    expect(await sweep.sweep(there, 4)).toBe(0);
  });

  it("pass over a row that somebody is changing, which then lives on", async () => {
    const { storage } = here;
    const login = await insertLogin(storage);
    const { id } = await insertCode(storage, login, { created_at: storage.now() - BEFORE });
    for (const n of [1, 2]) await insertCode(storage, login, { created_at: storage.now() - BEFORE - n });
    await storage.write(async (tx) => {
      const expires_at = instant(storage.now() + HOUR);
      await tx.db.updateTable("verification_codes").set({ expires_at }).where("id", "=", id).execute();
      expect(await codeSweep.sweep(there, 5)).toBe(2);
    });
    expect(await codeSweep.sweep(there, 5)).toBe(0);
    expect(await storage.read.selectFrom("verification_codes").select("id").execute()).toEqual([{ id }]);
  });
});
