import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../test/support/engines.ts";
import { FOR_UPDATE, SKIP_LOCKED } from "./row-locks.ts";
import { type HotStatement, instant, type Storage } from "./storage.ts";

interface Count {
  readonly subject: string;
  readonly cost: number;
}

/** A miniature of the two modes: a counter, and a thing that can be taken once. */
const count: HotStatement<Count, number> = {
  name: "test_count",
  key: (input) => input.subject,
  mode: {
    kind: "counting",
    merge: (inputs) => ({ subject: inputs[0]?.subject ?? "", cost: inputs.reduce((sum, { cost }) => sum + cost, 0) }),
    split: (total, inputs) => inputs.map((_, index) => total - inputs.length + index + 1),
  },
  sqlite(db, { subject, cost }) {
    const [row] = db.all(
      `insert into budgets (account_id, budget, subject, count, window_ends_at) values ('T1', 'b', ?, ?, '')
       on conflict (account_id, budget, subject) do update set count = count + excluded.count returning count`,
      subject,
      cost,
    );
    return Number(row?.count);
  },
  postgres: {
    text: `insert into budgets (account_id, budget, subject, count, window_ends_at)
      select 'T1', 'b', subject, cost, '' from unnest($1::text[], $2::bigint[]) as input (subject, cost)
      on conflict (account_id, budget, subject) do update set count = budgets.count + excluded.count returning subject, count`,
    parameters: (inputs) => [inputs.map(({ subject }) => subject), inputs.map(({ cost }) => cost)],
    answers: (rows, inputs) => inputs.map(({ subject }) => Number(rows.find((row) => row.subject === subject)?.count)),
  },
};

interface Take {
  readonly id: string;
  readonly by: string;
}

const take: HotStatement<Take, boolean> = {
  name: "test_take",
  key: (input) => input.id,
  mode: { kind: "spending" },
  sqlite: (db, { id, by }) =>
    db.run(
      "update accounts set deleted_by = ?, deleted_at = '' where account_id = ? and deleted_by is null",
      by,
      id,
    ) === 1,
  postgres: {
    text: `with input as (select * from unnest($1::text[], $2::text[]) with ordinality as input (id, by, n)),
      taken as (update accounts a set deleted_by = input.by, deleted_at = '' from input
        where a.account_id = input.id and a.deleted_by is null returning input.n)
      select input.n, taken.n is not null as won from input left join taken using (n) order by input.n`,
    parameters: (inputs) => [inputs.map(({ id }) => id), inputs.map(({ by }) => by)],
    answers: (rows) => rows.map((row) => row.won === true),
  },
};

async function insertAccount(storage: Storage, account_id: string): Promise<void> {
  const now = instant(storage.now());
  await storage.write((tx) =>
    tx.db
      .insertInto("accounts")
      .values({ account_id, name: "n", settings: "{}", created_at: now, updated_at: now })
      .execute(),
  );
}

async function selectAccountIds(storage: Storage): Promise<string[]> {
  const rows = await storage.read.selectFrom("accounts").select("account_id").orderBy("account_id").execute();
  return rows.map((row) => row.account_id);
}

describeOnBothEngines("storage", (engine) => {
  let test: TestStorage;
  let storage: Storage;
  beforeAll(async () => {
    test = await openTestStorage(engine);
    storage = test.storage;
  });
  afterAll(() => test.close());

  it("counts 64 equal keys of one batch as 64, each with its own place", async () => {
    const places = await Promise.all(
      Array.from({ length: 64 }, () => storage.hot(count, { subject: "same", cost: 1 })),
    );
    expect([...places].sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, index) => index + 1));
    expect(await storage.hot(count, { subject: "same", cost: 1 })).toBe(65);
  });

  it("lets exactly one of 50 parallel takers of one key win, and all takers of different keys", async () => {
    await insertAccount(storage, "T00000010");
    const one = await Promise.all(
      Array.from({ length: 50 }, (_, by) => storage.hot(take, { id: "T00000010", by: String(by) })),
    );
    expect(one.filter(Boolean)).toHaveLength(1);
    const ids = Array.from({ length: 100 }, (_, n) => `T1${String(n).padStart(7, "0")}`);
    await Promise.all(ids.map((id) => insertAccount(storage, id)));
    const all = await Promise.all(ids.map((id) => storage.hot(take, { id, by: "x" })));
    expect(all.every(Boolean)).toBe(true);
  });

  it("lets a bad item fail alone among its neighbours", async () => {
    const answers = await Promise.allSettled([
      storage.hot(count, { subject: "good-1", cost: 1 }),
      storage.hot(count, { subject: "warm-up", cost: 1 }),
      storage.hot(count, { subject: "good-2", cost: 1 }),
      storage.hot(count, { subject: "bad\0text", cost: 1 }),
      storage.hot(count, { subject: "good-3", cost: 1 }),
    ]);
    expect(answers.map((answer) => answer.status)).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
  });

  it("reads rows that are to be held on both engines, and says so to the one that holds them", async () => {
    await insertAccount(storage, "T00000011");
    const found = storage.read.selectFrom("accounts").select("name").distinct().where("account_id", "=", "T00000011");
    expect(await found.execute()).toEqual([{ name: "n" }]);
    await storage.write(async ({ db }) => {
      const built = db.selectFrom("accounts").select("name").where("account_id", "=", "T00000011");
      const written = sql`select name from accounts where account_id = 'T00000011' ${FOR_UPDATE} ${SKIP_LOCKED}`;
      for (const query of [built.forUpdate().skipLocked().compile(), written.compile(db)]) {
        expect(query.sql.includes("for update skip locked")).toBe(engine === "postgres");
        expect((await db.executeQuery(query)).rows).toEqual([{ name: "n" }]);
      }
    });
  });

  it("rolls back a failing write alone, and keeps its neighbours", async () => {
    const results = await Promise.allSettled([
      insertAccount(storage, "T20000001"),
      storage.write(async (tx) => {
        const now = instant(storage.now());
        await tx.db
          .insertInto("accounts")
          .values({ account_id: "T20000002", name: "n", settings: "{}", created_at: now, updated_at: now })
          .execute();
        throw new Error("changed my mind");
      }),
      insertAccount(storage, "T20000003"),
    ]);
    expect(results.map((result) => result.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    const ids = await selectAccountIds(storage);
    expect(ids.filter((id) => id.startsWith("T2000000"))).toEqual(["T20000001", "T20000003"]);
  });

  it("shows nothing of a write before it is committed", async () => {
    let seenInside: string[] = [];
    await storage.write(async (tx) => {
      const now = instant(storage.now());
      await tx.db
        .insertInto("accounts")
        .values({ account_id: "T30000001", name: "n", settings: "{}", created_at: now, updated_at: now })
        .execute();
      seenInside = await selectAccountIds(storage);
    });
    expect(seenInside).toContain("T00000010");
    expect(seenInside).not.toContain("T30000001");
    expect(await selectAccountIds(storage)).toContain("T30000001");
  });

  it("does what waits for the disk once, after the commit, and nothing of a run that was undone", async () => {
    const done: string[] = [];
    const undone = storage.write(async (tx) => {
      tx.onDisk(() => done.push("undone"));
      throw new Error("undo");
    });
    await expect(undone).rejects.toThrow("undo");
    const runs: string[] = [];
    await storage.write(async (tx) => {
      const run = `run ${runs.length + 1}`;
      runs.push(run);
      tx.onDisk(() => done.push(run));
      if (engine === "postgres" && runs.length === 1) throw Object.assign(new Error("lost"), { code: "40001" });
      expect(done).toEqual([]);
    });
    expect(done).toEqual(runs.slice(-1));
  });

  it("runs a hot statement inside a transaction, and undoes it with the transaction", async () => {
    const failed = storage.write(async (tx) => {
      const steps = [
        { subject: "in-tx", cost: 7 },
        { subject: "in-tx too", cost: 2 },
      ];
      expect(await tx.hot(count, steps)).toEqual([7, 2]);
      expect(await tx.hot(count, [])).toEqual([]);
      throw new Error("undo");
    });
    await expect(failed).rejects.toThrow("undo");
    expect(await storage.hot(count, { subject: "in-tx", cost: 1 })).toBe(1);
  });

  it("reads bytes, integers and null back as they were", async () => {
    const now = instant(storage.now());
    const digest = new Uint8Array([0, 255, 1]);
    const row = {
      account_id: "T1",
      id: "s",
      client_id: "c",
      algorithm: "sha256",
      digest,
      created_at: now,
      not_after: null,
    };
    await storage.write((tx) => tx.db.insertInto("client_secrets").values(row).execute());
    const read = await storage.read.selectFrom("client_secrets").selectAll().executeTakeFirstOrThrow();
    expect(new Uint8Array(read.digest)).toEqual(digest);
    expect(read.not_after).toBeNull();
    expect(await storage.hot(count, { subject: "number", cost: 3 })).toStrictEqual(3);
  });

  it("refuses U+0000 in text instead of cutting it", async () => {
    await expect(insertAccount(storage, "T4\u0000000001")).rejects.toThrow();
  });
});
