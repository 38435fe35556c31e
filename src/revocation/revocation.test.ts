import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../test/support/engines.ts";
import { until } from "../../test/support/smtp.ts";
import { instant } from "../storage/storage.ts";
import { openRevocations, revoke } from "./revocation.ts";
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
    await revoke(test.storage, here, account_id, "sid:1");
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
});
