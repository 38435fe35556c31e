import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../test/support/engines.ts";
import { until } from "../../test/support/smtp.ts";
import { instant } from "../storage/storage.ts";
import { openRevocations, TOKENS_LIVE } from "./revocation.ts";
import { insertRevocations } from "./store.ts";

describeOnBothEngines("revocation", (engine) => {
  let test: TestStorage;
  const statements: string[] = [];
  beforeAll(async () => {
    test = await openTestStorage(engine, (text) => statements.push(text));
  });
  afterAll(() => test.close());
  const account_id = "T00000001";

  it("ends what it names: here at once, elsewhere when it is next read, and there only", async () => {
    const here = await openRevocations(test.storage, { poll: 20 });
    const elsewhere = await openRevocations(test.storage, { poll: 20 });
    elsewhere.checkAlive(account_id, ["sid:1", "client:1"]);
    await test.storage.write((tx) => here.record(tx, account_id, ["sid:1"]));
    expect(() => here.checkAlive(account_id, ["client:1", "sid:1"])).toThrow("expired, revoked");
    here.checkAlive("T00000002", ["sid:1"]);
    here.checkAlive(account_id, ["sid:2"]);
    await until("the other process to know", () => {
      try {
        elsewhere.checkAlive(account_id, ["sid:1"]);
        return undefined;
      } catch {
        return true;
      }
    });
    const later = await openRevocations(test.storage);
    expect(() => later.checkAlive(account_id, ["sid:1"])).toThrow();
    await Promise.all([here, elsewhere, later].map(({ stop }) => stop()));
  });

  it("ends much at once in few statements, what was named twice once", async () => {
    const ended: string[] = [];
    const authorizationsEnd = async (_: unknown, __: string, sids: readonly string[]) => void ended.push(...sids);
    const revocations = await openRevocations(test.storage, { authorizationsEnd });
    const ids = Array.from({ length: 1_200 }, (_, index) => `many-${index}`);
    const subjects = [...ids, ...ids].map((id) => `sid:${id}`);
    statements.length = 0;
    await test.storage.write((tx) => revocations.record(tx, account_id, [...subjects, "client:many"]));
    await test.storage.write((tx) => revocations.record(tx, account_id, []));
    expect(statements.filter((text) => text.startsWith("insert")).length).toBe(3);
    expect(ended.toSorted()).toEqual(ids.toSorted());
    for (const subject of [...subjects, "client:many"])
      expect(() => revocations.checkAlive(account_id, [subject])).toThrow("expired, revoked");
    await revocations.stop();
  });

  it("ends logins of a person that began before, but the one that goes on, whoever ends them again", async () => {
    let time = test.storage.now();
    const clock = vi.spyOn(test.storage, "now").mockImplementation(() => time);
    const here = await openRevocations(test.storage, { poll: 20 });
    const elsewhere = await openRevocations(test.storage, { poll: 20 });
    const endAll = (except: string) =>
      test.storage.write((tx) => here.endLogins(tx, account_id, { user_id: "ada", except }, time));
    const isAlive = (one: typeof here, sid: string, began_at: number, subject = "ada", account = account_id) => {
      try {
        one.checkAlive(account, [`sid:${sid}`], { sid, began_at, subject });
        return true;
      } catch {
        return false;
      }
    };
    const began = time;
    time += 1;
    await endAll("goes-on");
    const seen = (one = here) => [
      isAlive(one, "other", began),
      isAlive(one, "goes-on", began),
      isAlive(one, "new", time),
      isAlive(one, "other", began, "bo"),
      isAlive(one, "other", began, "ada", "T00000002"),
    ];
    expect(seen()).toEqual([false, true, true, true, true]);
    await expect.poll(() => seen(elsewhere), { timeout: 5_000 }).toEqual([false, true, true, true, true]);
    const later = time;
    time += 10;
    await endAll("new");
    expect([isAlive(here, "goes-on", began), isAlive(here, "new", later), isAlive(here, "newer", later)]).toEqual([
      false,
      true,
      false,
    ]);
    await endAll("");
    expect([isAlive(here, "new", later), isAlive(here, "new", time)]).toEqual([false, true]);
    time += TOKENS_LIVE + 10;
    await expect.poll(() => isAlive(elsewhere, "new", later), { timeout: 5_000 }).toBe(true);
    clock.mockRestore();
    await Promise.all([here, elsewhere].map(({ stop }) => stop()));
  });

  it("keeps ended what was, also where it is ended again by a clock that was set back", async () => {
    const [user_id, now] = ["uma", test.storage.now()];
    const ahead = now + 3_600_000;
    let time = ahead;
    const clock = vi.spyOn(test.storage, "now").mockImplementation(() => time);
    const revocations = await openRevocations(test.storage);
    const end = () =>
      test.storage.write(async (tx) => {
        await revocations.record(tx, account_id, ["user:uma"]);
        await revocations.endLogins(tx, account_id, { user_id, except: "" }, time);
      });
    await end();
    time = now;
    await end();
    const rows = await test.storage.read
      .selectFrom("revocations")
      .select(["revoked_at", "expires_at"])
      .where("subject", "in", ["user:uma", "logins:uma "])
      .execute();
    // Others read on from when it was written last.
    expect(rows).toEqual(Array(2).fill({ revoked_at: instant(now), expires_at: instant(ahead + TOKENS_LIVE) }));
    const later = await openRevocations(test.storage);
    const login = { subject: user_id, sid: "s", began_at: ahead - 1 };
    expect(() => later.checkAlive(account_id, [], login)).toThrow("expired, revoked");
    clock.mockRestore();
    await Promise.all([revocations, later].map(({ stop }) => stop()));
  });

  it("sees what a transaction wrote two minutes before it committed", async () => {
    const elsewhere = await openRevocations(test.storage, { poll: 20 });
    const [now, subject] = [test.storage.now(), "sid:late"];
    const [written, expires] = [instant(now - 120_000), instant(now + 3_600_000)];
    await new Promise((resolve) => setTimeout(resolve, 60));
    await test.storage.write((tx) => insertRevocations(tx.db, account_id, [subject], written, expires));
    const isAlive = () => {
      try {
        elsewhere.checkAlive(account_id, [subject]);
        return true;
      } catch {
        return false;
      }
    };
    await expect.poll(isAlive, { timeout: 3_000 }).toBe(false);
    await elsewhere.stop();
  });

  describe("of which there are many", () => {
    /** The storage of a process, and how many rows each of its readings brought, in which turn of the event loop. */
    function watch({ storage }: TestStorage) {
      const readings: { rows: number; turn: number }[] = [];
      let [turn, stopped] = [0, false];
      const count = () => {
        turn += 1;
        if (!stopped) setImmediate(count);
      };
      setImmediate(count);
      const read = storage.read.withPlugin({
        transformQuery: ({ node }) => node,
        transformResult: async ({ result }) => {
          readings.push({ rows: result.rows.length, turn });
          return result;
        },
      });
      const stop = () => {
        stopped = true;
      };
      return { storage: { ...storage, read }, readings, stop };
    }

    async function insertMany(own: TestStorage, count: number, at: number): Promise<readonly string[]> {
      const [written, expires] = [instant(at), instant(at + TOKENS_LIVE)];
      const subjects = Array.from({ length: count }, (_, index) => `sid:${index}`);
      await own.storage.write(async ({ db }) => {
        for (let from = 0; from < count; from += 500)
          await insertRevocations(db, account_id, subjects.slice(from, from + 500), written, expires);
      });
      return subjects;
    }

    it("reads them page by page, those of one instant too, and leaves the process to others in between", async () => {
      const own = await openTestStorage(engine);
      const subjects = await insertMany(own, 2_500, own.storage.now() - 3_600_000);
      const { storage, readings, stop } = watch(own);
      const revocations = await openRevocations(storage, { poll: 60_000 });
      const full = readings.filter(({ rows }) => rows > 0);
      expect(full.map(({ rows }) => rows)).toEqual([1_000, 1_000, 500]);
      expect(new Set(full.map(({ turn }) => turn)).size).toBe(3);
      for (const subject of subjects) expect(() => revocations.checkAlive(account_id, [subject])).toThrow("expired");
      await revocations.stop();
      stop();
      await own.close();
    });

    it("does not read them again every time, but late ones are seen all the same", async () => {
      const own = await openTestStorage(engine);
      let time = 0;
      await insertMany(own, 2_500, own.storage.now() - 60_000);
      const { storage, readings, stop } = watch(own);
      const revocations = await openRevocations(storage, { poll: 10, monotonic: () => time });
      const total = () => readings.reduce((sum, { rows }) => sum + rows, 0);
      await until("both kinds of readings", () => (total() >= 5_000 ? true : undefined));
      const before = readings.length;
      await until("further readings", () => (readings.length >= before + 20 ? true : undefined));
      expect(total()).toBe(5_000);
      const late = own.storage.now() - 120_000;
      const [written, expires] = [instant(late), instant(late + TOKENS_LIVE)];
      await own.storage.write((tx) => insertRevocations(tx.db, account_id, ["sid:late"], written, expires));
      time = 2_500;
      await until("the late one", () => (total() >= 7_501 ? true : undefined));
      expect(() => revocations.checkAlive(account_id, ["sid:late"])).toThrow("expired");
      await revocations.stop();
      stop();
      await own.close();
    });
  });

  it("is not forgotten for an earlier one that is read later", async () => {
    let time = test.storage.now();
    const clock = vi.spyOn(test.storage, "now").mockImplementation(() => time);
    const user_id = "eve";
    const revocations = await openRevocations(test.storage, { poll: 20 });
    const began = time + 5;
    time += 10;
    await test.storage.write((tx) => revocations.endLogins(tx, account_id, { user_id, except: "" }, time));
    const isAlive = () => {
      try {
        revocations.checkAlive(account_id, [], { sid: "s", began_at: began, subject: user_id });
        return true;
      } catch {
        return false;
      }
    };
    expect(isAlive()).toBe(false);
    const [earlier, expires] = [instant(time - 8), instant(time - 8 + TOKENS_LIVE)];
    await test.storage.write((tx) => insertRevocations(tx.db, account_id, [`logins:${user_id} `], earlier, expires));
    await test.storage.write((tx) => insertRevocations(tx.db, account_id, ["sid:mark"], earlier, expires));
    await until("the earlier one to be read", () => {
      try {
        revocations.checkAlive(account_id, ["sid:mark"]);
        return undefined;
      } catch {
        return true;
      }
    });
    expect(isAlive()).toBe(false);
    clock.mockRestore();
    await revocations.stop();
  });

  it("refuses with 503 once it has not been read for ten seconds, and recovers", async () => {
    let time = 0;
    const revocations = await openRevocations(test.storage, { poll: 30, monotonic: () => time });
    await new Promise((resolve) => setTimeout(resolve, 60));
    time = 9_999;
    revocations.checkAlive(account_id, []);
    time = 25_000;
    expect(revocations.isFresh()).toBe(false);
    expect(() => revocations.checkAlive(account_id, [])).toThrow(expect.objectContaining({ status: 503 }));
    await expect.poll(() => revocations.isFresh(), { timeout: 10_000 }).toBe(true);
    revocations.checkAlive(account_id, []);
    await revocations.stop();
  });

  it("does not let a failed reading pass for a fresh one", async () => {
    const own = await openTestStorage(engine);
    let time = 0;
    const failures: unknown[] = [];
    const options = { poll: 20, monotonic: () => time, report: (error: unknown) => failures.push(error) };
    const revocations = await openRevocations(own.storage, options);
    await own.storage.close();
    await until("a failed reading", () => (failures.length > 0 ? true : undefined));
    time = 11_000;
    expect(() => revocations.checkAlive(account_id, [])).toThrow(expect.objectContaining({ status: 503 }));
    await revocations.stop();
    await own.close();
  });

  it("tells why it cannot be read once, until it was read again", async () => {
    const own = await openTestStorage(engine);
    const rename = (from: string, to: string) =>
      own.storage.write((tx) => sql`alter table ${sql.table(from)} rename to ${sql.table(to)}`.execute(tx.db));
    let readings = 0;
    const counted = {
      ...own.storage,
      get read() {
        readings += 1;
        return own.storage.read;
      },
    };
    /** Readings follow each other: when the third one begins, the second one is over, which began after this call. */
    const further = async () => {
      const before = readings;
      await until("three readings", () => (readings >= before + 3 ? true : undefined));
    };
    const told: string[] = [];
    const revocations = await openRevocations(counted, { poll: 20, report: (error) => told.push(String(error)) });
    for (const times of [1, 2]) {
      await rename("revocations", "elsewhere");
      await further();
      expect(told).toEqual(Array(times).fill(expect.stringContaining("revocations")));
      await rename("elsewhere", "revocations");
      await further();
    }
    await revocations.stop();
    await own.close();
  });
});
