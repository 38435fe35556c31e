import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import { masterKeys } from "../../secrets/master-keys.ts";
import { openTokens, type Tokens } from "../tokens.ts";
import { accountKey } from "./account-key.ts";

describeOnBothEngines("a key that an account keeps for good", (engine) => {
  let test: TestStorage;
  beforeAll(async () => {
    test = await openTestStorage(engine);
    for (const account_id of ["T00000001", "T00000002"])
      await test.storage.write((tx) =>
        tx.db
          .insertInto("accounts")
          .values({ account_id, name: "x", settings: "{}", created_at: "", updated_at: "" })
          .execute(),
      );
  });
  afterAll(() => test.close());
  const hex = (key: Uint8Array) => Buffer.from(key).toString("hex");

  it("is one, whoever asks at the same time, and another for each account", async () => {
    const fresh = () => openTokens(test.storage, masterKeys([Buffer.alloc(32, 3)]));
    const processes = [fresh(), fresh(), fresh()];
    const asked = await Promise.all(processes.map((tokens) => accountKey(tokens, "T00000001", "pairwise")));
    const [key, ...others] = asked.map(hex);
    expect(key).toMatch(/^[\da-f]{64}$/);
    expect(others).toEqual([key, key]);
    expect(hex(await accountKey(fresh(), "T00000001", "pairwise"))).toBe(key);
    expect(hex(await accountKey(fresh(), "T00000002", "pairwise"))).not.toBe(key);
  });

  it("is kept opened for some accounts, not for all that there are", async () => {
    const tokens = openTokens(test.storage, masterKeys([Buffer.alloc(32, 3)]));
    for (let n = 0; n < 10_000; n++) await tokens.account_keys.get(`${n}`, async () => new Uint8Array());
    await accountKey(tokens, "T00000001", "pairwise");
    const kept = (name: string) => tokens.account_keys.get(name, async () => undefined);
    expect(await kept("0")).toBeUndefined();
    expect(await kept("T00000001 pairwise")).toBeDefined();
  });

  it("is soon another at every process where the database lost the first", async () => {
    const elapsed = vi.spyOn(performance, "now").mockReturnValue(0);
    const [here, elsewhere] = [0, 0].map(() => openTokens(test.storage, masterKeys([Buffer.alloc(32, 3)])));
    if (!here || !elsewhere) throw new Error("no processes");
    const key = (tokens: Tokens) => accountKey(tokens, "T00000002", "pairwise").then(hex);
    try {
      const lost = await key(here);
      await test.storage.write(({ db }) =>
        db.deleteFrom("account_keys").where("account_id", "=", "T00000002").execute(),
      );
      const next = await key(elsewhere);
      expect(next).not.toBe(lost);
      expect(await key(here), "read once in five seconds").toBe(lost);
      elapsed.mockReturnValue(5_001);
      expect(await key(here)).toBe(next);
      expect(await key(elsewhere)).toBe(next);
    } finally {
      elapsed.mockRestore();
    }
  });
});
