import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../test/support/engines.ts";
import { masterKeys } from "../secrets/master-keys.ts";
import { openStorage } from "../storage/open.ts";
import type { Storage } from "../storage/storage.ts";
import type { BudgetName, Charge } from "./budgets.ts";
import {
  budgetSweep,
  chargeAll,
  giveBack,
  giveBackIn,
  longestWait,
  peekBudget,
  rememberedBudgetSweep,
  type Steps,
  spendBudget,
  takeBudget,
  takeBudgets,
  takeBudgetsIn,
  unclosedBudgetSweep,
  uncount,
} from "./limits.ts";
import { siteSubject, sourceSubject } from "./source.ts";

const account_id = "T00000001";
const NOW = Date.parse("2026-01-01T00:00:00.000Z");
const MINUTE = 60_000;

function send(subject: string, fields: Partial<Charge> = {}): Charge {
  return { account_id, budget: "send_identifier_source", subject, ...fields };
}

describeOnBothEngines("limits", (engine) => {
  let test: TestStorage;
  let storage: Storage;
  beforeAll(async () => {
    test = await openTestStorage(engine);
    storage = test.storage;
  });
  afterAll(() => test.close());

  it("allows the limit, refuses what follows, and says how long to wait", async () => {
    const taken = [];
    for (let step = 0; step < 7; step++) taken.push(await takeBudget(storage, send("a"), NOW + step * MINUTE));
    expect(taken.map(({ allowed }) => allowed)).toEqual([true, true, true, true, true, false, false]);
    expect(taken.map(({ count }) => count)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(taken[6]?.retry_after).toBe(9 * 60);
  });

  it("begins a new window when the old one has ended, however hard it was hammered", async () => {
    for (let step = 0; step < 9; step++) await takeBudget(storage, send("b"), NOW);
    expect((await takeBudget(storage, send("b"), NOW + 15 * MINUTE - 1)).allowed).toBe(false);
    expect(await takeBudget(storage, send("b"), NOW + 15 * MINUTE)).toEqual({
      allowed: true,
      count: 1,
      retry_after: 900,
    });
  });

  it("counts 200 parallel steps as 200, and allows exactly the limit", async () => {
    const taken = await Promise.all(
      Array.from({ length: 200 }, () => takeBudget(storage, send("c", { limit: 50 }), NOW)),
    );
    expect(taken.filter(({ allowed }) => allowed)).toHaveLength(50);
    expect(taken.map(({ count }) => count).sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, n) => n + 1));
  });

  it("counts in the new window what comes just as the old one ends, whoever it travels with", async () => {
    const end = NOW + 15 * MINUTE;
    const stepsOf = (kinds: Record<string, number[]>) =>
      [1, 2, 3].flatMap((n) =>
        Object.entries(kinds).flatMap(([kind, all]) => all.map((by) => ({ name: `${kind}-${n}`, now: end + by }))),
      );
    const take = (steps: { name: string; now: number }[]) =>
      Promise.all(steps.map(({ name, now }) => takeBudget(storage, send(name), now)));
    const around = stepsOf({ around: [-1, 0, -1, 0] });
    const apart = stepsOf({ before: [-1, -1, -1], after: [0, 0, 0] });
    for (const { name } of [...around, ...apart]) await takeBudget(storage, send(name, { cost: 5 }), NOW);
    await take(around);
    for (const { name } of around)
      expect((await peekBudget(storage.read, send(name), end)).count, name).toBeGreaterThan(0);
    const taken = await take(apart);
    const counts = taken.filter((_, at) => apart[at]?.now === end).map(({ count }) => count);
    expect(counts).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3]);
  });

  it("keeps subjects, budgets and accounts apart", async () => {
    await takeBudget(storage, send("d", { cost: 5 }), NOW);
    expect((await takeBudget(storage, send("d"), NOW)).allowed).toBe(false);
    expect((await takeBudget(storage, send("e"), NOW)).count).toBe(1);
    expect((await takeBudget(storage, send("d", { budget: "send_identifier" }), NOW)).count).toBe(1);
    expect((await takeBudget(storage, send("d", { account_id: "T00000002" }), NOW)).count).toBe(1);
  });

  it("takes several in one transaction and answers in the order asked", async () => {
    const charges = [send("z", { cost: 3 }), send("f"), send("z2", { cost: 9 })];
    const taken = await storage.write((tx) => chargeAll(tx, charges, NOW));
    expect(taken.map(({ count, allowed }) => [count, allowed])).toEqual([
      [3, true],
      [1, true],
      [9, false],
    ]);
  });

  const countsOf = async (charges: readonly Charge[], now = NOW) =>
    (await Promise.all(charges.map((charge) => peekBudget(storage.read, charge, now)))).map(({ count }) => count);
  const rowsOf = async (like: string) =>
    (await storage.read.selectFrom("budgets").select("subject").where("subject", "like", like).execute()).length;

  const ways = {
    takeBudgets: (steps: Steps, now = NOW) => takeBudgets(storage, steps, now),
    takeBudgetsIn: (steps: Steps, now = NOW) => storage.write((tx) => takeBudgetsIn(tx, steps, now)),
  };
  it.each(Object.entries(ways))("takes all of several or none, by %s, and says who is the first", async (by, take) => {
    const [own, wide] = [send(`${by} own`, { limit: 2 }), send(`${by} wide`)];
    const [here, there] = [send(`${by} here`), send(`${by} there`, { cost: 2 })];
    const all = [own, wide, here, there];
    expect(await take([own, wide, [here, there]])).toBeUndefined();
    expect(await take([own, wide, [here, there]])).toBeUndefined();
    expect(await countsOf(all)).toEqual([2, 2, 2, 4]);
    expect(await take([own, wide, [here, there]], NOW + MINUTE)).toEqual({
      retry_after: 14 * 60,
      first: true,
      by: ["send_identifier_source"],
    });
    expect(await take([own, wide, [here, there]], NOW + MINUTE)).toEqual({
      retry_after: 14 * 60,
      first: false,
      by: ["send_identifier_source"],
    });
    expect(await countsOf(all), "with one that says it was").toEqual([3, 2, 2, 4]);
    const next = send(`${by} next`);
    expect(await take([next, wide, [here, there]])).toEqual({
      retry_after: 900,
      first: true,
      by: ["send_identifier_source"],
    });
    expect(await countsOf([next, ...all]), "what was there when it looked").toEqual([0, 3, 2, 2, 6]);
  });

  it.each(Object.entries(ways))("leaves no row of what is narrower than what is used up, by %s", async (by, take) => {
    const full = send(`${by} full`);
    await takeBudget(storage, { ...full, cost: 5 }, NOW);
    for (let n = 1; n <= 3; n++)
      expect(await take([send(`${by} row ${n}`), send(`${by} row between`), full])).toMatchObject({ first: n === 1 });
    expect(await rowsOf(`${by} row%`)).toBe(0);
    expect(await countsOf([full]), "nor counts more than the first").toEqual([6]);
    expect(await take([send(`${by} row 1`), full], NOW + 15 * MINUTE)).toBeUndefined();
  });

  it("keeps a neighbour of one who asks for very many at once from nothing", async () => {
    const site = send("site", { limit: 30 });
    const flood = () =>
      Array.from({ length: 90 }, () => takeBudgets(storage, [send("flood", { limit: 5 }), site], NOW));
    let refused = 0;
    const near = async (n: number) => {
      if (await takeBudgets(storage, [send(`near ${n}`), site], NOW)) refused++;
    };
    for (let round = 0; round < 5; round++) {
      const under_way = flood();
      for (let n = 0; n < 4; n++) await near(4 * round + n);
      const flooded = await Promise.all([...under_way, near(20 + round)]);
      expect(flooded.filter((refusal) => refusal === undefined)).toHaveLength(round === 0 ? 6 : 1);
    }
    expect([refused, ...(await countsOf([send("flood"), site]))]).toEqual([0, 6, 30]);
  });

  it("gives no more than there is to very many who ask at once, and then none of them anything to keep", async () => {
    const wide = send("crowded", { limit: 30 });
    const crowd = Array.from({ length: 90 }, (_, n) => takeBudgets(storage, [send(`crowd ${n}`), wide], NOW));
    const refusals = (await Promise.all(crowd)).filter((refusal) => refusal !== undefined);
    expect([refusals.length, refusals.filter(({ first }) => first).length]).toEqual([60, 1]);
    expect(await countsOf([wide])).toEqual([31]);
    const before = await rowsOf("crowd%");
    for (let n = 100; n < 110; n++) await takeBudgets(storage, [send(`crowd ${n}`), wide], NOW);
    expect(await rowsOf("crowd%")).toBe(before);
  });

  it("gives back what was taken, in a transaction too, and by itself never more than there is", async () => {
    const [one, two] = [send("back-1"), send("back-2", { cost: 3 })];
    for (const charge of [one, one, two, two]) await takeBudget(storage, charge, NOW);
    await storage.write((tx) => giveBackIn(tx, [two, one], NOW));
    expect(await countsOf([one, two])).toEqual([1, 3]);
    await giveBack(storage, [two], NOW);
    for (let step = 0; step < 3; step++) await uncount(storage, one);
    expect(await countsOf([one, two])).toEqual([0, 0]);
    await uncount(storage, send("back-3"));
    expect(await takeBudget(storage, send("back-3"), NOW)).toMatchObject({ allowed: true, count: 1 });
  });

  it("spends what there is, and says how long to wait for more", async () => {
    const last = send("spent", { limit: 1 });
    expect(await spendBudget(storage, last, NOW)).toBeUndefined();
    await expect(spendBudget(storage, last, NOW + MINUTE)).rejects.toMatchObject({
      code: "too_many_requests",
      options: { retry_after: 14 * 60 },
    });
  });

  it("peeks without taking", async () => {
    expect(await peekBudget(storage.read, send("g"), NOW)).toMatchObject({ allowed: true, count: 0 });
    await takeBudget(storage, send("g", { cost: 5 }), NOW);
    expect(await peekBudget(storage.read, send("g"), NOW)).toMatchObject({ allowed: false, count: 5 });
    expect(await peekBudget(storage.read, send("g"), NOW + 15 * MINUTE)).toMatchObject({ allowed: true, count: 0 });
  });

  it("sweeps what ended, and keeps what runs or remembers failures", async () => {
    await takeBudget(storage, send("sweep-running"), storage.now());
    await takeBudget(storage, send("sweep-ended"), storage.now() - 3 * 86_400_000);
    await takeBudget(storage, send("sweep-guessed", { budget: "numeric_guess" }), storage.now() - 3 * 86_400_000);
    await storage.write((tx) =>
      tx.db.updateTable("budgets").set({ failures: 3 }).where("subject", "=", "sweep-guessed").execute(),
    );
    while ((await budgetSweep.sweep(storage, 2)) === 2);
    const left = await storage.read
      .selectFrom("budgets")
      .select("subject")
      .where("subject", "like", "sweep-%")
      .execute();
    expect(left.map(({ subject }) => subject).sort()).toEqual(["sweep-guessed", "sweep-running"]);
  });

  it("sweeps what remembers failures, or a window that doubled, after ninety days", async () => {
    const of = async (subject: string, days: number, remembered: { failures?: number; level?: number }) => {
      const charge = send(subject, { budget: "numeric_guess" });
      await takeBudget(storage, charge, storage.now() - days * 86_400_000);
      await storage.write((tx) =>
        tx.db.updateTable("budgets").set(remembered).where("subject", "=", subject).execute(),
      );
    };
    await of("old-failures", 92, { failures: 3 });
    await of("old-level", 93, { level: 1 });
    await of("kept-failures", 88, { failures: 3 });
    await of("kept-level", 88, { level: 1 });
    while ((await budgetSweep.sweep(storage, 2)) === 2);
    expect(await rememberedBudgetSweep.sweep(storage, 10)).toBe(2);
    const left = await storage.read.selectFrom("budgets").select("subject").where("subject", "like", "%-%").execute();
    const those = left.map(({ subject }) => subject).filter((subject) => /^(old|kept)-/.test(subject));
    expect(those.sort()).toEqual(["kept-failures", "kept-level"]);
  });

  it("sweeps wrong passwords that closed nothing after a week, and neither a closing nor wrong codes", async () => {
    const of = async (subject: string, budget: BudgetName, days: number, remembered: { level?: number } = {}) => {
      await takeBudget(storage, send(subject, { budget }), storage.now() - days * 86_400_000);
      await storage.write(async ({ db }) => {
        const row = db.updateTable("budgets").set({ failures: 9, ...remembered });
        await row.where("subject", "=", subject).execute();
      });
    };
    for (const subject of ["week-a", "week-b", "week-c"]) await of(subject, "factor_guess", 8);
    await of("week-young", "factor_guess", 6);
    await of("week-closed", "factor_guess", 8, { level: 1 });
    await of("week-codes", "numeric_guess", 8);
    for (const swept of [2, 1, 0]) expect(await unclosedBudgetSweep.sweep(storage, 2)).toBe(swept);
    const left = await storage.read
      .selectFrom("budgets")
      .select("subject")
      .where("subject", "like", "week-%")
      .execute();
    expect(left.map(({ subject }) => subject).sort()).toEqual(["week-closed", "week-codes", "week-young"]);
  });
});

it("counts exactly over three processes' pools on one PostgreSQL, single and in transactions", async () => {
  const test = await openTestStorage("postgres");
  const pools = [
    test.storage,
    await openStorage({ database_url: test.database_url }),
    await openStorage({ database_url: test.database_url }),
  ];
  const subjects = ["p", "q", "r", "s"];
  const steps = Array.from({ length: 60 }, (_, n) => {
    const pool = pools[n % 3] as Storage;
    const charges = subjects.map((subject) => send(subject));
    if (n % 2 === 0) return pool.write((tx) => chargeAll(tx, n % 4 === 0 ? charges.toReversed() : charges, NOW));
    return Promise.all(charges.map((charge) => takeBudget(pool, charge, NOW)));
  });
  await Promise.all(steps);
  for (const subject of subjects) expect((await peekBudget(test.storage.read, send(subject), NOW)).count).toBe(60);
  await pools[1]?.close();
  await pools[2]?.close();
  await test.close();
});

it("waits for the one that takes longest of those that refuse", () => {
  const taken = (allowed: boolean, retry_after: number) => ({ allowed, count: 1, retry_after });
  expect(longestWait([taken(true, 900), taken(false, 60), taken(false, 300), taken(false, 1)])).toBe(300);
  expect(longestWait([taken(true, 900)])).toBeUndefined();
  expect(longestWait([])).toBeUndefined();
});

it("calls a source by a name that is the account's own and does not tell the address", () => {
  const name = (account = account_id, source = "192.0.2.1", key = 1) =>
    sourceSubject(masterKeys([Buffer.alloc(32, key)]), account, source);
  expect(name()).toBe(name());
  expect(name()).toMatch(/^[\w-]{43}$/);
  expect(
    new Set([name(), name("T00000002"), name(account_id, "192.0.2.2"), name(account_id, "192.0.2.1", 2)]).size,
  ).toBe(4);
});

it("counts IPv6 by its /64, IPv4 as it is however it is written, and what is no address as it is", () => {
  const name = (source: string) => sourceSubject(masterKeys([Buffer.alloc(32, 1)]), account_id, source);
  expect(name("2001:db8:1:2:3:4:5:6")).toBe(name("2001:DB8:1:2::"));
  expect(name("2001:db8:1:3::")).not.toBe(name("2001:db8:1:2::"));
  expect(name("fe80::1%eth0")).toBe(name("fe80::2"));
  expect(name("::ffff:192.0.2.1")).toBe(name("192.0.2.1"));
  expect(name("192.0.2.2")).not.toBe(name("192.0.2.1"));
  expect(name("unknown")).not.toBe(name("another"));
});

it("counts the networks of an IPv6 site together, and names none for anything else", () => {
  const name = (source: string) => siteSubject(masterKeys([Buffer.alloc(32, 1)]), account_id, source);
  expect(name("2001:db8:1:2::")).toBe(name("2001:DB8:1:3:4::5"));
  expect(name("2001:db8:2:2::")).not.toBe(name("2001:db8:1:2::"));
  expect(name("2001:db8:1:2::")).toMatch(/^[\w-]{43}$/);
  for (const source of ["192.0.2.1", "::ffff:192.0.2.1", "unknown"]) expect(name(source), source).toBeUndefined();
});
