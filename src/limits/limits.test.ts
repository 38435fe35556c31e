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
  spendBudget,
  takeBudget,
  takeBudgets,
  takeNarrowing,
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

  it("takes several, each by itself, and answers in the order asked", async () => {
    const charges = [send("y", { cost: 3 }), send("x"), send("x"), send("y2", { cost: 9 })];
    const taken = await takeBudgets(storage, charges, NOW);
    expect(taken.map(({ count, allowed }) => [count, allowed])).toEqual([
      [3, true],
      [1, true],
      [2, true],
      [9, false],
    ]);
  });

  it("gives back what others share of several, where a narrower one refuses", async () => {
    const refused = send("narrow", { limit: 1 });
    await takeBudget(storage, refused, NOW);
    const charges = [send("before", { cost: 2 }), refused, send("wide", { cost: 3 }), send("full", { cost: 6 })];
    await takeBudget(storage, send("wide"), NOW);
    const taken = await takeBudgets(storage, charges, NOW);
    expect(taken.map(({ allowed, count }) => [allowed, count])).toEqual([
      [true, 2],
      [false, 2],
      [true, 4],
      [false, 6],
    ]);
    const left = await Promise.all(charges.map((charge) => peekBudget(storage.read, charge, NOW)));
    expect(left.map(({ count }) => count)).toEqual([2, 2, 1, 6]);
  });

  it("takes of what others share no more than somebody may who asks for very many at once", async () => {
    const now = storage.now();
    for (const [name, take] of Object.entries({ takeBudgets, takeNarrowing })) {
      const own = send(`${name} own`, { limit: 5 });
      const shared = send(`${name} shared`, { limit: 30 });
      const charges = name === "takeNarrowing" ? [shared, own] : [own, shared];
      const all = await Promise.all(Array.from({ length: 90 }, () => take(storage, charges, now)));
      expect(all.filter((taken) => longestWait(taken) === undefined)).toHaveLength(5);
      // With one beyond the limit, which says that it was reached.
      const { count, allowed } = await takeBudget(storage, shared, now);
      expect([name, count <= 7, allowed]).toEqual([name, true, true]);
    }
  });

  it("gives nothing back where all allow it, nor where the first refuses and nothing else was asked", async () => {
    const [one, two] = [send("all-1", { limit: 1 }), send("all-2")];
    await takeBudgets(storage, [one, two], NOW);
    await takeBudgets(storage, [one], NOW);
    expect((await peekBudget(storage.read, one, NOW)).count).toBe(2);
    expect((await peekBudget(storage.read, two, NOW)).count).toBe(1);
    await takeBudgets(storage, [one, two], NOW);
    expect((await peekBudget(storage.read, two, NOW)).count).toBe(1);
  });

  it("gives back what was taken, in a transaction too, and by itself never more than there is", async () => {
    const [one, two] = [send("back-1"), send("back-2", { cost: 3 })];
    const countsOf = async () => {
      const peeked = await Promise.all([one, two].map((charge) => peekBudget(storage.read, charge, NOW)));
      return peeked.map(({ count }) => count);
    };
    for (const charge of [one, one, two, two]) await takeBudget(storage, charge, NOW);
    await storage.write((tx) => giveBackIn(tx, [two, one], NOW));
    expect(await countsOf()).toEqual([1, 3]);
    await giveBack(storage, [two], NOW);
    for (let step = 0; step < 3; step++) await uncount(storage, one);
    expect(await countsOf()).toEqual([0, 0]);
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
