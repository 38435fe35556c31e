import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import { masterKeys } from "../../secrets/master-keys.ts";
import type { InTurn } from "../../storage/in-turn.ts";
import { openTokens, type Tokens } from "../tokens.ts";
import { committedSigningKey, keysOf, publishedKeys, readyKeys, signing, signingKey } from "./find-key.ts";
import { rotateKey } from "./rotate-key.ts";

const DAY = 86_400_000;
const rotation = { publication_lead: 86_400, longest_lifetime: 86_400 };

describeOnBothEngines("the key that signs", (engine) => {
  let test: TestStorage;
  let now: number;
  const fresh = (): Tokens => openTokens(test.storage, masterKeys([Buffer.alloc(32, 3)]));
  beforeAll(async () => {
    test = await openTestStorage(engine);
    now = test.storage.now();
    const about = { name: "x", settings: "{}", created_at: "", updated_at: "" };
    const accounts = Array.from({ length: 5 }, (_, n) => ({ account_id: `T0000000${n + 1}`, ...about }));
    await test.storage.write(({ db }) => db.insertInto("accounts").values(accounts).execute());
  });
  afterAll(() => test.close());
  const algs = async (account_id: string) => (await keysOf(fresh(), account_id)).map(({ alg }) => alg).toSorted();

  it("is the youngest of its algorithm that is active, and the first where a clock was set back to before all", async () => {
    const account_id = "T00000001";
    const first = await signingKey(fresh(), account_id, "ES256", now);
    const second = await rotateKey(fresh(), account_id, "ES256", rotation, now);
    const other = await signingKey(fresh(), account_id, "EdDSA", now);
    const keys = await keysOf(fresh(), account_id);
    const kids = ([-2 * DAY, 0, DAY - 1, DAY, 9 * DAY] as const).map((at) => signing(keys, "ES256", now + at)?.kid);
    expect(kids).toEqual([first.kid, first.kid, first.kid, second, second]);
    expect(signing(keys, "EdDSA", now - DAY)?.kid).toBe(other.kid);
    expect(signing(keys, "RS256", now), "none of its algorithm").toBeUndefined();
    const idle = { ...fresh(), making: () => Promise.reject(new Error("a key was made for nothing")) };
    expect((await signingKey(idle, account_id, "ES256", now)).kid).toBe(first.kid);
    expect(await rotateKey(idle, account_id, "ES256", rotation, now), "under way").toBeNull();
  });

  it("is as committed for who asks for that, though another process has just replaced what is known here", async () => {
    const account_id = "T00000002";
    const here = fresh();
    await signingKey(here, account_id, "ES256", now);
    const next = await rotateKey(fresh(), account_id, "ES256", { ...rotation, immediately: true }, now);
    expect((await committedSigningKey(here, account_id, "ES256", now)).kid).toBe(next);
    const first = await committedSigningKey(here, account_id, "EdDSA", now);
    expect((await signingKey(fresh(), account_id, "EdDSA", now)).kid, "made where there is none").toBe(first.kid);
  });

  it("is ready in the account's own algorithm, and in that of ID tokens", async () => {
    await readyKeys(fresh(), "T00000003", "ES256", now);
    expect(await algs("T00000003")).toEqual(["ES256", "RS256"]);
    await readyKeys(fresh(), "T00000003", "RS256", now);
    expect(await algs("T00000003"), "each once").toEqual(["ES256", "RS256"]);
  });

  it("is replaced once by two processes that make the next one at the same time", async () => {
    const account_id = "T00000004";
    await signingKey(fresh(), account_id, "ES256", now);
    const elsewhere: (string | null)[] = [];
    const making: InTurn = async (_key, make) => {
      elsewhere.push(await rotateKey(fresh(), account_id, "ES256", rotation, now));
      return make();
    };
    const told: string[] = [];
    const within = async (_: unknown, kid: string) => void told.push(kid);
    expect(await rotateKey({ ...fresh(), making }, account_id, "ES256", { ...rotation, within }, now)).toBeNull();
    expect(elsewhere).toEqual([expect.any(String)]);
    expect([(await keysOf(fresh(), account_id)).length, told]).toEqual([2, []]);
  });

  it("is published to who asks after a reading that failed", async () => {
    const account_id = "T00000005";
    expect(await publishedKeys(fresh(), account_id), "before there is any").toEqual([]);
    const { kid } = await signingKey(fresh(), account_id, "ES256", now);
    const { read } = test.storage;
    let fail = () => {};
    const failure = new Promise<never>((_, reject) => {
      fail = () => reject(new Error("no disk"));
    });
    const step = () => failing;
    const failing: object = { select: step, where: step, orderBy: step, execute: () => failure };
    let asked = 0;
    const selectFrom = (table: "signing_keys") => {
      asked += 1;
      return asked === 1 ? failing : read.selectFrom(table);
    };
    const broken = { ...fresh(), storage: { ...test.storage, read: { selectFrom } as unknown as typeof read } };
    const failed = expect(publishedKeys(broken, account_id)).rejects.toThrow("no disk");
    while (asked === 0) await Promise.resolve();
    const next = publishedKeys(broken, account_id);
    fail();
    await failed;
    expect((await next).map((key) => key.kid)).toEqual([kid]);
    expect(broken.publishing.size).toBe(0);
  });
});
