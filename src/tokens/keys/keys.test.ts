import { randomUUID } from "node:crypto";
import { calculateJwkThumbprint, importJWK, jwtVerify, SignJWT } from "jose";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import { masterKeys } from "../../secrets/master-keys.ts";
import { seal } from "../../secrets/seal.ts";
import { reveal } from "../../secrets/secret.ts";
import { signing_algs } from "../../secrets/signing-alg.ts";
import type { Storage } from "../../storage/storage.ts";
import { readExchangeToken, signExchangeToken } from "../exchange-token.ts";
import { issueAccessToken, issueIdToken } from "../issue.ts";
import { readIdToken } from "../read-id-token.ts";
import { openTokens, type Tokens } from "../tokens.ts";
import { verifyAccessToken } from "../verify.ts";
import { checkMasterKeys } from "./check-master-keys.ts";
import { keysOf, publishedKeys, signingKey } from "./find-key.ts";
import { keySweep, rotateKey } from "./rotate-key.ts";

const DAY = 86_400_000;
const PAUSE = { sqlite: sql`1`, postgres: sql`pg_sleep(0.1)` };
const rotation = { publication_lead: 86_400, longest_lifetime: 86_400 };

describeOnBothEngines("signing keys", (engine) => {
  let test: TestStorage;
  const master_keys = masterKeys([Buffer.alloc(32, 3)]);
  /** What another process, or this one five seconds later, would see. */
  const fresh = (): Tokens => openTokens(test.storage, master_keys);
  beforeAll(async () => {
    test = await openTestStorage(engine);
    for (let n = 1; n <= 11; n++) {
      const account_id = `T0000000${n.toString(16).toUpperCase()}`;
      await test.storage.write((tx) =>
        tx.db
          .insertInto("accounts")
          .values({ account_id, name: "x", settings: "{}", created_at: "", updated_at: "" })
          .execute(),
      );
    }
  });
  afterAll(() => test.close());

  it("are none at first, and any master key will do", async () => {
    expect(await keysOf(fresh(), "T00000001")).toEqual([]);
    await checkMasterKeys(test.storage, masterKeys([Buffer.alloc(32, 4)]));
  });

  it("are replaced a few at a time, each told of in its own transaction", async () => {
    const own = fresh();
    const now = test.storage.now();
    const accounts = Array.from({ length: 12 }, (_, n) => `T000001${n.toString(16).toUpperCase().padStart(2, "0")}`);
    for (const account_id of accounts) {
      const account = { account_id, name: "x", settings: "{}", created_at: "", updated_at: "" };
      await test.storage.write(({ db }) => db.insertInto("accounts").values(account).execute());
      await signingKey(own, account_id, "ES256", now - 91 * DAY);
    }
    const told: string[] = [];
    const { sweep } = keySweep(
      own,
      async () => 86_400,
      async (_, { account_id, alg }, kid) => void told.push(`${account_id} ${alg} ${kid}`),
    );
    expect([await sweep(test.storage, 500), told.length]).toEqual([500, 10]);
    expect([(await sweep(test.storage, 500)) < 500, told.length]).toEqual([true, 12]);
    for (const account_id of accounts) {
      const [, next] = await keysOf(own, account_id);
      expect(told).toContain(`${account_id} ES256 ${next?.kid}`);
    }
  });

  it("are made once for an account, whoever asks at the same time", async () => {
    const { storage } = test;
    const askers = [fresh(), fresh(), fresh()].flatMap((tokens) => [tokens, tokens]);
    // Each on a connection that is open already, so that they meet.
    await Promise.all(askers.map(() => storage.write(async ({ db }) => sql`select ${PAUSE[engine]}`.execute(db))));
    const asked = askers.map((tokens) => signingKey(tokens, "T00000001", "ES256", storage.now()));
    const kids = new Set((await Promise.all(asked)).map(({ kid }) => kid));
    expect(kids.size).toBe(1);
    expect(await keysOf(fresh(), "T00000001"), "none was made for nothing").toHaveLength(1);
    const other = await signingKey(fresh(), "T00000002", "ES256", storage.now());
    expect(kids).not.toContain(other.kid);
  });

  it("are made once by one process, which makes no other for nothing", async () => {
    let written = 0;
    const write: Storage["write"] = (work) => {
      written++;
      return test.storage.write(work);
    };
    const tokens = openTokens({ ...test.storage, write }, master_keys);
    const now = test.storage.now();
    const ask = () => signingKey(tokens, "T0000000A", "RS256", now);
    const kids = new Set((await Promise.all(Array.from({ length: 12 }, ask))).map(({ kid }) => kid));
    expect([kids.size, written]).toEqual([1, 1]);
    expect(tokens.first_keys.size).toBe(0);
    const broken = openTokens({ ...test.storage, write: () => Promise.reject(new Error("no disk")) }, master_keys);
    const failing = () => signingKey(broken, "T0000000A", "EdDSA", now);
    await expect(Promise.all([failing(), failing()])).rejects.toThrow("no disk");
    expect(broken.first_keys.size).toBe(0);
  });

  it("are seen at once by a process that saw none", async () => {
    const waiting = fresh();
    expect(await keysOf(waiting, "T00000009")).toEqual([]);
    const { kid } = await signingKey(fresh(), "T00000009", "ES256", test.storage.now());
    expect((await keysOf(waiting, "T00000009")).map((key) => key.kid)).toEqual([kid]);
  });

  it("sign at once where they are rotated before the first was needed", async () => {
    const kid = await rotateKey(fresh(), "T00000009", "EdDSA", rotation, test.storage.now());
    expect((await signingKey(fresh(), "T00000009", "EdDSA", test.storage.now())).kid).toBe(kid);
  });

  it("are published before they sign, and verify after they retired", async () => {
    const account_id = "T00000002";
    const now = test.storage.now();
    const old = await signingKey(fresh(), account_id, "ES256", now);
    const kid = await rotateKey(fresh(), account_id, "ES256", rotation, now);
    expect(await rotateKey(fresh(), account_id, "ES256", rotation, now)).toBeNull();
    const published = (await publishedKeys(fresh(), account_id)).map((key) => key.kid);
    expect(published.toSorted()).toEqual([old.kid, kid].toSorted());
    expect((await signingKey(fresh(), account_id, "ES256", now + DAY - 1)).kid).toBe(old.kid);
    expect((await signingKey(fresh(), account_id, "ES256", now + DAY)).kid).toBe(kid);
    const retired = (await keysOf(fresh(), account_id)).find((key) => key.kid === old.kid);
    expect(retired?.expires_at).toBe(now + 2 * DAY);
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

  it("are published at once, also those that another process made and signs with this moment", async () => {
    const account_id = "T0000000A";
    const asked = fresh();
    const now = test.storage.now();
    await signingKey(asked, account_id, "ES256", now);
    const kids = async () => (await publishedKeys(asked, account_id)).map(({ kid }) => kid);
    expect(await kids()).not.toEqual([]);
    const first = await signingKey(fresh(), account_id, "EdDSA", now);
    expect(await kids(), "the first of an algorithm").toContain(first.kid);
    const next = await rotateKey(fresh(), account_id, "EdDSA", { ...rotation, immediately: true }, now);
    expect(await kids(), "in the place of a leaked one").toContain(next);
  });

  it("are published to many who ask by one reading at a time, which began after each of them asked", async () => {
    let readings = 0;
    const { read } = test.storage;
    const selectFrom = (table: string) => {
      if (table === "signing_keys") readings++;
      return read.selectFrom(table as "signing_keys");
    };
    const tokens = openTokens({ ...test.storage, read: { selectFrom } as unknown as typeof read }, master_keys);
    const ask = () => publishedKeys(tokens, "T0000000A");
    await ask();
    expect(readings).toBe(1);
    const early = [ask(), ask()];
    while (readings < 2) await Promise.resolve();
    await Promise.all([...early, ...Array.from({ length: 20 }, ask)]);
    expect(readings, "one for the early, and one for who came when that had begun").toBe(3);
    expect(tokens.publishing.size).toBe(0);
  });

  it("are named by their thumbprint (RFC 7638), and what is published checks what they sign", async () => {
    for (const alg of signing_algs) {
      const key = await signingKey(fresh(), "T00000004", alg, test.storage.now());
      const published = (await publishedKeys(fresh(), "T00000004")).find(({ kid }) => kid === key.kid);
      expect(published).toMatchObject({ alg, use: "sig", kid: await calculateJwkThumbprint(published ?? {}) });
      const token = await new SignJWT({}).setProtectedHeader({ alg }).sign(key.private_key);
      await jwtVerify(token, await importJWK(published ?? {}, alg));
    }
  });

  it("are replaced one algorithm at a time, and at once even while the next is waiting", async () => {
    const account_id = "T00000005";
    const now = test.storage.now() - 1_000;
    const other = await signingKey(fresh(), account_id, "EdDSA", now);
    const first = await signingKey(fresh(), account_id, "ES256", now);
    const waiting = await rotateKey(fresh(), account_id, "ES256", rotation, now);
    const kids = async () => (await keysOf(fresh(), account_id)).map(({ kid }) => kid).toSorted();
    expect(await kids()).toEqual([other.kid, first.kid, waiting].toSorted());
    const next = await rotateKey(fresh(), account_id, "ES256", { ...rotation, immediately: true }, now);
    expect(await kids()).toEqual([other.kid, next].toSorted());
    expect((await signingKey(fresh(), account_id, "ES256", now)).kid).toBe(next);
    expect((await signingKey(fresh(), account_id, "EdDSA", now)).kid).toBe(other.kid);
    expect(await rotateKey(fresh(), account_id, "EdDSA", rotation, now), "nothing of its own waits").not.toBeNull();
  });

  it("replace themselves after ninety days, and go a day after their end", async () => {
    const { storage } = test;
    const now = storage.now();
    const kept = async (account_id: string) =>
      (await storage.read.selectFrom("signing_keys").select("kid").where("account_id", "=", account_id).execute()).map(
        ({ kid }) => kid,
      );
    const own = fresh();
    const old = await signingKey(own, "T00000006", "ES256", now - 90 * DAY - 1_000);
    const young = await signingKey(own, "T00000007", "ES256", now - 90 * DAY + 60_000);
    const { sweep } = keySweep(own, async (account_id) => (account_id === "T00000006" ? 600 : 0));
    expect(await sweep(storage, 100)).toBe(0);
    expect(await kept("T00000007")).toEqual([young.kid]);
    const [replaced, next] = await keysOf(own, "T00000006");
    expect(await kept("T00000006")).toHaveLength(2);
    expect(replaced?.kid).toBe(old.kid);
    const active = next?.active_at ?? 0;
    expect(Math.abs(active - now - 600_000)).toBeLessThan(60_000);
    expect(replaced?.expires_at).toBe(active + DAY);
    expect(await sweep(storage, 100)).toBe(0);
    expect(await kept("T00000006"), "once").toHaveLength(2);
    await storage.write((tx) =>
      tx.db
        .updateTable("signing_keys")
        .set({ retired_at: null, expires_at: null })
        .where("kid", "=", old.kid)
        .execute(),
    );
    const clock = vi.spyOn(storage, "now").mockImplementation(() => now + 700_000);
    expect(await sweep(storage, 100)).toBe(0);
    clock.mockRestore();
    expect(await kept("T00000006"), "the newer one is young").toHaveLength(2);

    const before = await signingKey(own, "T00000008", "ES256", now - 3 * DAY);
    const ended = { publication_lead: 0, longest_lifetime: 0 };
    await rotateKey(own, "T00000008", "ES256", ended, now - DAY + 60_000);
    await rotateKey(own, "T00000008", "EdDSA", ended, now - 3 * DAY);
    await rotateKey(own, "T00000008", "EdDSA", ended, now - DAY - 60_000);
    expect(await sweep(storage, 100)).toBe(1);
    expect(await kept("T00000008")).toHaveLength(3);
    expect(await kept("T00000008")).toContain(before.kid);
  });

  it("are replaced once, however many processes find them old, also where the next signs at once", async () => {
    const { storage } = test;
    const account_id = "T0000000B";
    const now = storage.now();
    await signingKey(fresh(), account_id, "ES256", now - 91 * DAY);
    const told: string[] = [];
    const note = async (_: unknown, replaced: { account_id: string }) => void told.push(replaced.account_id);
    const at = (milliseconds: number) => ({ ...storage, now: () => milliseconds });
    const elsewhere = keySweep(fresh(), async () => 0, note);
    // Between this one's look at what is old and its own rotation.
    const leadOf = () => elsewhere.sweep(at(now - 1_000), 500).then(() => 0);
    await keySweep(fresh(), leadOf, note).sweep(at(now), 500);
    expect(told.filter((one) => one === account_id)).toHaveLength(1);
    expect(await keysOf(fresh(), account_id)).toHaveLength(2);
  });

  it("stay opened, because opening one is dear, but not without end", async () => {
    const own = fresh();
    const [key] = await keysOf(own, "T00000001");
    own.keys.clear();
    expect((await keysOf(own, "T00000001"))[0]?.private_key).toBe(key?.private_key);
    for (let n = own.opened.size; n < 5_000; n++) if (key) own.opened.set(`another ${n}`, key);
    own.keys.clear();
    expect(await keysOf(own, "T00000001")).toHaveLength(3);
    expect(own.opened.size).toBeLessThan(5_000);
  });

  it("cannot be opened for another account", async () => {
    const { storage } = test;
    const from = await storage.read
      .selectFrom("signing_keys")
      .selectAll()
      .where("account_id", "=", "T00000001")
      .execute();
    const rows = from.map((row) => ({ ...row, account_id: "T00000003" }));
    await storage.write(({ db }) => db.insertInto("signing_keys").values(rows).execute());
    await expect(keysOf(fresh(), "T00000003")).rejects.toThrow();
  });

  it("cannot be read under another master key, and the start says so", async () => {
    await checkMasterKeys(test.storage, master_keys);
    await checkMasterKeys(test.storage, masterKeys([Buffer.alloc(32, 4), Buffer.alloc(32, 3)]));
    const [newer, older] = [masterKeys([Buffer.alloc(32, 4)]), masterKeys([Buffer.alloc(32, 3)])];
    await expect(checkMasterKeys(test.storage, newer)).rejects.toThrow("MASTER_KEY is not the key");
    const seed = Buffer.from(seal(newer, { account_id: "T00000001", purpose: "mfa", subject: "x" }, Buffer.alloc(20)));
    const factor = {
      account_id: "T00000001",
      user_id: "u",
      kind: "totp",
      target: null,
      last_step: 0,
      enabled_at: null,
    };
    await test.storage.write((tx) =>
      tx.db
        .insertInto("factors")
        .values({ ...factor, seed, updated_at: "2026-01-01" })
        .execute(),
    );
    await expect(checkMasterKeys(test.storage, older)).rejects.toThrow(
      `MASTER_KEY lacks a key: ${newer.current} is needed`,
    );
    await expect(checkMasterKeys(test.storage, newer)).rejects.toThrow(`${older.current} is needed`);
    await expect(checkMasterKeys(test.storage, masterKeys([Buffer.alloc(32, 5)]))).rejects.toThrow(" are needed");
  });
});

describeOnBothEngines("a token by a key that another process made a moment ago", (engine) => {
  let test: TestStorage;
  let reads = 0;
  const account_id = "T00000001";
  const issuer = "https://login.example/v1/accounts/T00000001";
  const audience = "https://api.example";
  const person = { type: "user", id: "9c1f", auth_time: 1, amr: ["otp"], acr: "1fa", email: "a@example.com" } as const;
  const fresh = () => openTokens(test.storage, masterKeys([Buffer.alloc(32, 3)]));
  beforeAll(async () => {
    test = await openTestStorage(engine, (query) => {
      if (/^select\b.* from "?signing_keys"?/s.test(query)) reads++;
    });
    const account = { account_id, name: "x", settings: "{}", created_at: "", updated_at: "" };
    await test.storage.write((tx) => tx.db.insertInto("accounts").values(account).execute());
  });
  afterAll(() => test.close());

  /** A process that has the keys of the account, as they are now. */
  async function warm(): Promise<Tokens> {
    const own = fresh();
    await signingKey(own, account_id, "ES256", test.storage.now());
    return own;
  }

  async function signedBy(own: Tokens, alg: "ES256" | "EdDSA") {
    const now = test.storage.now();
    const issuing = { account_id, issuer, access_token_lifetime: 600, access_token_alg: alg };
    const login = { issuing, sid: "s", client_id: "shop", client_uuid: "7d3a", audience, scope: [], id_token_alg: alg };
    const { access_token } = await issueAccessToken(own, { ...login, subject: person }, now);
    const about = { ...login, subject: person };
    return {
      access: reveal(access_token),
      id: reveal(await issueIdToken(own, about, { audience: "shop", lifetime: 60 }, now)),
      exchange: reveal(await signExchangeToken(own, issuing, { client_uuid: "7d3a", within: [] }, audience, now)),
    };
  }

  const verify = (own: Tokens, token: string) => verifyAccessToken(own, account_id, issuer, token, test.storage.now());

  function byAnother(token: string): string {
    const [head = "", ...rest] = token.split(".");
    const header = { ...JSON.parse(Buffer.from(head, "base64url").toString()), kid: randomUUID() };
    return [Buffer.from(JSON.stringify(header)).toString("base64url"), ...rest].join(".");
  }

  it.each([
    ["the first of its algorithm", "EdDSA"],
    ["one that takes the place of another at once", "ES256"],
  ] as const)("is good at once: %s", async (_how, alg) => {
    const [first, second, third] = [await warm(), await warm(), await warm()];
    const elsewhere = fresh();
    if (alg === "ES256")
      await rotateKey(elsewhere, account_id, alg, { ...rotation, immediately: true }, test.storage.now());
    const signed = await signedBy(elsewhere, alg);
    expect(await verify(first, signed.access)).toMatchObject({ client_uuid: "7d3a" });
    expect(await readIdToken(second, issuer, account_id, signed.id)).toMatchObject({ sub: "9c1f" });
    const now = test.storage.now();
    const read = await readExchangeToken(third, { account_id, issuer }, audience, signed.exchange, now);
    expect(read).toMatchObject({ client_uuid: "7d3a" });
  });

  it("costs one reading for all who ask at once, and one a second whatever keys are made up", async () => {
    const here = await warm();
    const { access } = await signedBy(await warm(), "ES256");
    await verify(here, access);
    const ask = () => expect(verify(here, byAnother(access))).rejects.toMatchObject({ code: "invalid_token" });
    const began = performance.now();
    reads = 0;
    await Promise.all(Array.from({ length: 200 }, ask));
    expect(reads, "at once").toBe(1);
    for (let n = 0; n < 200; n++) await ask();
    const seconds = (performance.now() - began) / 1000;
    // Once a second, and once every five because of their age.
    expect(reads).toBeLessThanOrEqual(2 + 1.4 * seconds);
    expect(await verify(here, access)).toMatchObject({ client_uuid: "7d3a" });
  });

  it("is not called a wrong one while the keys cannot be read", async () => {
    const here = await warm();
    const { access } = await signedBy(await warm(), "ES256");
    const cut = { ...here, storage: { ...here.storage, now: test.storage.now, read: undefined as never } };
    await verify(cut, access);
    for (let n = 0; n < 2; n++)
      await expect(verify(cut, byAnother(access))).rejects.not.toMatchObject({ code: "invalid_token" });
    expect(await verify(cut, access), "and what is known stays known").toMatchObject({ client_uuid: "7d3a" });
  });
});
