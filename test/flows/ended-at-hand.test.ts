/** A login that has ended changes nothing that proves its person, also at a process that has not heard of that end. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { holdByLogin } from "../../src/directory/users/logins-ended.ts";
import { endLoginsOf } from "../../src/oauth/refresh/end-logins.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { call, createTenant, inbox, type Latchkey, type Reply, startLatchkey } from "../support/latchkey.ts";
import { overlap } from "../support/overlap.ts";
import { logInAccountUser, oneTimePassword, personToken } from "../support/people.ts";

const ends = ["their logins ended together", "it was revoked", "its client went"] as const;

describeOnBothEngines("a login that has ended", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  /** Ends the login of this token in one of those ways, and does this where nobody has heard of it. */
  async function unheard<T>(how: (typeof ends)[number], token: string, deed: () => Promise<T>): Promise<T> {
    const { directory, storage } = latchkey.server.core;
    const { oid: account_id, sub: user_id, sid, client_uuid } = claimsOf(token);
    const begun = storage.now();
    await expect.poll(() => storage.now() > begun, { timeout: 5_000 }).toBe(true);
    const spy = vi.spyOn(directory.revocations, "checkAlive").mockImplementation(() => {});
    try {
      await storage.write((tx) =>
        how === "their logins ended together"
          ? endLoginsOf(tx, directory, { account_id, user_id })
          : directory.revocations.record(tx, account_id, [how === ends[1] ? `sid:${sid}` : `client:${client_uuid}`]),
      );
      return await deed();
    } finally {
      spy.mockRestore();
    }
  }
  const said = ({ status, body, headers }: Reply) => [status, body?.error?.code, headers.get("www-authenticate")];
  const refused = [401, "invalid_token", expect.stringMatching(/^Bearer .*error="invalid_token"/)];

  it.each(ends)("takes no address or number, neither another nor a first one: %s", async (how) => {
    for (const field of ["email", "phone_number"] as const) {
      const tenant = await createTenant(latchkey, { scope: ["admin:accounts", "user:customers"] });
      const { base, user } = tenant;
      const { storage } = latchkey.server.core;
      const nobodys = { phone_number: null, phone_verified_at: null };
      await storage.write(({ db }) => db.updateTable("users").set(nobodys).where("id", "=", user.id).execute());
      const token = await personToken(tenant);
      const value = field === "email" ? `mallory-${user.email}` : "+4740333444";
      const at = (operation: string, json: object) =>
        call(`${base}/customers/users/${user.id}/communication/${operation}-verification-code/${field}`, {
          ...{ method: "POST", token, json },
        });
      expect((await at("send", { value })).status).toBe(204);
      const right = { code: (await inbox(tenant, value))[0]?.verification_code };
      expect(said(await unheard(how, token, () => at("confirm", right)))).toEqual(refused);
      const row = storage.read.selectFrom("users").select(["email", "phone_number", "logins_ended_but"]);
      const { logins_ended_but, ...kept } = await row.where("id", "=", user.id).executeTakeFirstOrThrow();
      expect(kept).toEqual({ email: user.email, phone_number: null });
      expect(logins_ended_but?.split(" ")[1] ?? "", "the one that goes on").toBe("");
    }
  });

  it.each(ends)("changes no name: %s", async (how) => {
    const { base, user, ...tenant } = await createTenant(latchkey, { scope: ["admin:accounts", "user:customers"] });
    const token = await personToken({ base, user, ...tenant });
    const at = (method: string, json?: object) =>
      call(`${base}/customers/users/${user.id}`, { method, token, ...(json ? { json } : {}) });
    const { name } = (await at("GET")).body;
    expect(said(await unheard(how, token, () => at("PUT", { name: "Mallory" })))).toEqual(refused);
    const { read } = latchkey.server.core.storage;
    const row = await read.selectFrom("users").select("name").where("id", "=", user.id).executeTakeFirstOrThrow();
    expect(row.name).toBe(name);
  });

  it.each(ends)("changes neither password nor second factor: %s", async (how) => {
    const tenant = await createTenant(latchkey);
    const { storage } = latchkey.server.core;
    const stored = async (user_id: string) => {
      const passwords = storage.read.selectFrom("passwords").selectAll().where("user_id", "=", user_id);
      const factors = storage.read.selectFrom("factors").selectAll().where("user_id", "=", user_id);
      return [await passwords.execute(), await factors.execute()];
    };
    const mine = (method: string, path: string, token: string, json?: object) =>
      call(`${latchkey.url}/v1/account/user${path}`, { method, token, ...(json ? { json } : {}) });
    const associate = async (token: string) => (await mine("POST", "/mfa/totp", token)).body.secret as string;
    const changes: readonly ((token: string) => Promise<() => Promise<Reply>>)[] = [
      async (token) => () => mine("POST", "/password", token, { proposed_password: "a new battery" }),
      async (token) => () => mine("PUT", "/mfa/sms", token, { enabled: true, phone_number: "+4740333444" }),
      async (token) => () => mine("POST", "/mfa/totp", token),
      async (token) => {
        const otp = oneTimePassword(await associate(token));
        return () => mine("PUT", "/mfa/totp", token, { otp });
      },
      async (token) => {
        await associate(token);
        return () => mine("PUT", "/mfa/totp", token, { enabled: false });
      },
    ];
    for (const prepare of changes) {
      const { id, token } = await logInAccountUser(latchkey, tenant, { scope: ["admin:accounts"] });
      const change = await prepare(token);
      const before = await stored(id);
      expect(said(await unheard(how, token, change))).toEqual(refused);
      expect(await stored(id)).toEqual(before);
    }
  });

  it("waits for the end that is under way", async () => {
    const { account_id, user } = await createTenant(latchkey);
    const { directory, storage } = latchkey.server.core;
    const person = { account_id, user_id: user.id };
    const login = { sid: "at-hand", began_at: storage.now(), hangs_on: ["sid:at-hand"] };
    const change = () => storage.write((tx) => holdByLogin(tx, person, login));
    await change();
    await expect.poll(() => storage.now() > login.began_at, { timeout: 5_000 }).toBe(true);
    const [ended, changed] = await overlap(storage, (tx) => endLoginsOf(tx, directory, person), change);
    expect([ended.status, changed]).toMatchObject(["fulfilled", { reason: { code: "invalid_token" } }]);
  });
});
