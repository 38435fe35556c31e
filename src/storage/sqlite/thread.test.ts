import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../../test/support/smtp.ts";
import { takeStatement } from "../../limits/store.ts";
import { hotSource } from "../hot-sources.ts";
import { migrate } from "../migrate.ts";
import { openStorage } from "../open.ts";
import type { HotStatement, Storage } from "../storage.ts";
import { statementsIn } from "./statements-in.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const step = (subject: string) => ({
  charge: { account_id: "T00000001", budget: "send_client", subject } as const,
  now: NOW,
});
/** Fails on any thread: a value that nothing binds. */
const bad = { charge: { ...step("x").charge, subject: 1.5 as unknown as string }, now: NOW };

describe("the writer thread", () => {
  let folder: string;
  let storage: Storage;
  const texts: string[] = [];
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-"));
    const path = join(folder, "test.db");
    await migrate(`sqlite:${path}`);
    texts.length = 0;
    const onQuery = (text: string) => texts.push(text);
    storage = await openStorage({ database_url: `sqlite:${path}`, exclusive: true, strict: true, onQuery });
  });
  afterEach(async () => {
    await storage.close();
    rmSync(folder, { recursive: true });
  });
  const take = (subject: string) => storage.hot(takeStatement, step(subject));
  const count = async () => {
    const { rows } = await sql<{ sum: number }>`select sum(count) as sum from budgets`.execute(storage.read);
    return Number(rows[0]?.sum);
  };

  it("counts every one of many, and tells what it executed", async () => {
    const answers = await Promise.all(Array.from({ length: 300 }, () => take("one")));
    expect(answers.map((answer) => answer.count).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 300 }, (_, n) => n + 1),
    );
    expect(await count()).toBe(300);
    expect(texts.some((text) => text.includes("insert into budgets"))).toBe(true);
  });

  it("takes turns with writes: neither waits for ever, nothing is lost, what came first is there", async () => {
    const works = Array.from({ length: 200 }, (_, n) =>
      n % 3 === 0
        ? storage.write(async ({ db, hot }) => {
            const before = await sql<{ sum: number }>`select sum(count) as sum from budgets`.execute(db);
            await hot(takeStatement, [step("inside")]);
            const after = await sql<{ sum: number }>`select sum(count) as sum from budgets`.execute(db);
            return Number(after.rows[0]?.sum) - Number(before.rows[0]?.sum);
          })
        : take(`subject ${n}`).then(({ count }) => count),
    );
    expect(new Set(await Promise.all(works))).toEqual(new Set([1]));
    expect(await count()).toBe(200);
  });

  it("lets one that fails fail alone", async () => {
    const outcomes = await Promise.allSettled([take("a"), storage.hot(takeStatement, bad), take("b")]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await count()).toBe(2);
  });

  it("carries out a statement that names no module where it is asked for", async () => {
    const { source: _source, ...here } = takeStatement;
    const statement: HotStatement<Parameters<typeof takeStatement.sqlite>[1], { count: number }> = here;
    expect((await storage.hot(statement, step("here"))).count).toBe(1);
  });

  it.each(["data:text/javascript,", "file:///nowhere.js"])(
    "goes on where a statement is not to be found in %s, and so does the statement",
    async (source) => {
      const lost = { ...takeStatement, name: "lost", source };
      const answers = await Promise.all([take("a"), storage.hot(lost, step("b")), take("a")]);
      expect(answers.map(({ count }) => count)).toEqual([1, 1, 2]);
      expect([(await storage.hot(lost, step("b"))).count, (await take("a")).count]).toEqual([2, 3]);
      await storage.ping();
    },
  );

  it("carries out a statement whose module it could not read at first", async () => {
    const file = join(folder, "late.mjs");
    const late = { ...takeStatement, name: "late", source: pathToFileURL(file).href };
    writeFileSync(file, "half of it, which Node.js remembers as");
    expect((await storage.hot(late, step("a"))).count, "here").toBe(1);
    writeFileSync(file, "export const late = { name: 'late', sqlite: () => ({ count: -1 }) }");
    await until("the thread's answer", async () => (await storage.hot(late, step("a"))).count === -1);
  });

  it("reads modules that declare statements before any is asked for", async () => {
    const file = join(folder, "read");
    const text = `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(file)}, "")`;
    hotSource(`data:text/javascript,${encodeURIComponent(text)}`);
    const other = join(folder, "other.db");
    await migrate(`sqlite:${other}`);
    const opened = await openStorage({ database_url: `sqlite:${other}`, exclusive: true });
    await until("the module", () => existsSync(file));
    await opened.close();
  });

  it("has ended: nobody is answered as if it were on disk, and whoever watches over the server is told", async () => {
    const leave: HotStatement<string, number> = {
      name: "leave",
      source: "data:text/javascript,export const leave = { name: 'leave', sqlite() { process.exit() } }",
      key: (input) => input,
      mode: { kind: "spending" },
      sqlite: () => 0,
      postgres: { text: "", parameters: () => [], answers: () => [] },
    };
    await take("before");
    await storage.ping();
    const unavailable = { code: "temporarily_unavailable" };
    await expect(storage.hot(leave, "now")).rejects.toMatchObject(unavailable);
    await expect(take("after")).rejects.toMatchObject(unavailable);
    await expect(storage.write(async ({ hot }) => hot(takeStatement, [step("c")]))).rejects.toMatchObject(unavailable);
    await expect(storage.ping()).rejects.toThrow("started again");
    expect(await count()).toBe(1);
  });

  it("answers everything that was handed in before it closes", async () => {
    const answers = Promise.all([
      take("a"),
      take("b"),
      storage.write(async ({ hot }) => hot(takeStatement, [step("c")])),
    ]);
    await storage.close();
    expect((await answers).flat().map(({ count }) => count)).toEqual([1, 1, 1]);
  });
});

it("the writer thread finds every hot statement of the house, each under a name of its own", async () => {
  const house = join(import.meta.dirname, "../..");
  const files = readdirSync(house, { recursive: true, encoding: "utf8" }).filter((file) =>
    /(?<!\.test)\.ts$/.test(file),
  );
  const names: string[] = [];
  for (const file of files) {
    const declared =
      readFileSync(join(house, file), "utf8").match(/\bsource: hotSource\(import\.meta\.url\)/g)?.length ?? 0;
    if (declared === 0) continue;
    const found = statementsIn((await import(join(house, file))) as object);
    expect(found.length, `${file} exports what it declares`).toBeGreaterThanOrEqual(declared);
    names.push(...found.map(({ name }) => name));
  }
  expect(names).toContain("take_budget");
  expect(new Set(names).size, names.join()).toBe(names.length);
});
