import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import { masterKeys } from "../../secrets/master-keys.ts";
import { openTokens, type Tokens } from "../tokens.ts";
import { checkMasterKeys } from "./check-master-keys.ts";
import { keysOf, publishedKeys, signingKey } from "./find-key.ts";
import { rotateKey } from "./rotate-key.ts";

const DAY = 86_400_000;
const rotation = { publication_lead: 86_400, longest_lifetime: 86_400 };

describeOnBothEngines("signing keys", (engine) => {
  let test: TestStorage;
  const master_keys = masterKeys([Buffer.alloc(32, 3)]);
  /** What another process, or this one five seconds later, would see. */
  const fresh = (): Tokens => openTokens(test.storage, master_keys);
  beforeAll(async () => {
    test = await openTestStorage(engine);
    for (const account_id of ["T00000001", "T00000002", "T00000003"])
      await test.storage.write((tx) =>
        tx.db
          .insertInto("accounts")
          .values({ account_id, name: "x", settings: "{}", created_at: "", updated_at: "" })
          .execute(),
      );
  });
  afterAll(() => test.close());

  it("are made once for an account, whoever asks at the same time", async () => {
    const processes = [fresh(), fresh(), fresh()];
    const asked = processes.flatMap((tokens) =>
      [1, 2].map(() => signingKey(tokens, "T00000001", "ES256", test.storage.now())),
    );
    const kids = new Set((await Promise.all(asked)).map(({ kid }) => kid));
    expect(kids.size).toBe(1);
    const other = await signingKey(fresh(), "T00000002", "ES256", test.storage.now());
    expect(kids).not.toContain(other.kid);
  });

  it("are published before they sign, and verify after they retired", async () => {
    const account_id = "T00000002";
    const now = test.storage.now();
    const old = await signingKey(fresh(), account_id, "ES256", now);
    const kid = await rotateKey(fresh(), account_id, "ES256", rotation, now);
    expect(await rotateKey(fresh(), account_id, "ES256", rotation, now)).toBeNull();
    const published = (await publishedKeys(fresh(), account_id)).map((key) => key.kid);
    expect(published.toSorted()).toEqual([old.kid, kid].toSorted());
    expect((await signingKey(fresh(), account_id, "ES256", now + DAY - 1_000)).kid).toBe(old.kid);
    expect((await signingKey(fresh(), account_id, "ES256", now + DAY + 1_000)).kid).toBe(kid);
    const retired = (await keysOf(fresh(), account_id)).find((key) => key.kid === old.kid);
    expect(Date.parse(retired?.expires_at ?? "")).toBe(now + 2 * DAY);
  });

  it("are trusted no longer when they are rotated because they leaked", async () => {
    const account_id = "T00000003";
    const now = test.storage.now();
    const leaked = await signingKey(fresh(), account_id, "RS256", now);
    const kid = await rotateKey(fresh(), account_id, "RS256", { ...rotation, immediately: true }, test.storage.now());
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await keysOf(fresh(), account_id)).map((key) => key.kid)).toEqual([kid]);
    expect((await signingKey(fresh(), account_id, "RS256", test.storage.now())).kid).not.toBe(leaked.kid);
  });

  it("publish nothing private, RSA first", async () => {
    await signingKey(fresh(), "T00000001", "EdDSA", test.storage.now());
    await signingKey(fresh(), "T00000001", "RS256", test.storage.now());
    const keys = await publishedKeys(fresh(), "T00000001");
    expect(keys[0]?.kty).toBe("RSA");
    expect(keys).toHaveLength(3);
    for (const key of keys)
      expect(Object.keys(key).filter((name) => ["d", "p", "q", "dp", "dq", "qi", "k"].includes(name))).toEqual([]);
  });

  it("cannot be read under another master key, and the start says so", async () => {
    await checkMasterKeys(test.storage, master_keys);
    await checkMasterKeys(test.storage, masterKeys([Buffer.alloc(32, 4), Buffer.alloc(32, 3)]));
    await expect(checkMasterKeys(test.storage, masterKeys([Buffer.alloc(32, 4)]))).rejects.toThrow(
      "MASTER_KEY is not the key",
    );
  });
});
