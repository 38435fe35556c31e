/** A new password ends the logins that were begun before it: those that are just under way as well, however they began. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { hashPassword, storePassword } from "../../src/authentication/passwords/password.ts";
import { provePassword } from "../../src/authentication/passwords/prove-password.ts";
import { beginSession } from "../../src/authentication/sessions/begin-session.ts";
import type { AuthenticatedSubject } from "../../src/authentication/subject.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { readAuthorizationCode } from "../../src/oauth/authorization-code.ts";
import { beginStatement, type NewFamily } from "../../src/oauth/refresh/begin-statement.ts";
import { endLoginsOf } from "../../src/oauth/refresh/end-logins.ts";
import { secret } from "../../src/secrets/secret.ts";
import { type HotStatement, instant, type Storage, type Transaction } from "../../src/storage/storage.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  authorize,
  call,
  createTenant,
  inbox,
  type Latchkey,
  receiveCode,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { overlap } from "../support/overlap.ts";
import { token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("a login under way while the person's logins end", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let standard: StandardClient;
  let storage: Storage;
  let person: { readonly id: string; readonly email: string };
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    const grant_types = ["authorization_code", "refresh_token", "client_credentials"] as const;
    const client = { first_party: true, refresh_without_offline_access: true, grant_types: [...grant_types] };
    tenant = await createTenant(latchkey, { client });
    standard = standardClient(latchkey, tenant, tenant.client);
    storage = latchkey.server.core.storage;
  });
  beforeEach(async () => {
    person = await addUser(latchkey, tenant.account_id);
  });
  afterAll(() => latchkey.close());

  const owner = () => ({ account_id: tenant.account_id, user_id: person.id });
  const end = (tx: Transaction) => endLoginsOf(tx, latchkey.server.core.directory, owner());
  const passed = (at: number) => expect.poll(() => storage.now() > at, { timeout: 5_000 }).toBe(true);
  /** By a time that everything so far is before. */
  const endAll = async () => {
    await passed(storage.now());
    await storage.write(end);
    await passed(storage.now());
  };
  /** Does this when such a statement is asked for, once: before it, or when it was answered. */
  const meanwhile = (name: RegExp, deed: () => Promise<void>, when: "before" | "after") => {
    const hot = storage.hot.bind(storage);
    let done = false;
    return vi.spyOn(storage, "hot").mockImplementation(async <I, O>(statement: HotStatement<I, O>, input: I) => {
      const now = !done && name.test(statement.name);
      if (now) done = true;
      if (now && when === "before") await deed();
      const answer = await hot(statement, input);
      if (now && when === "after") await deed();
      return answer;
    });
  };
  const lasting = async () => {
    const families = storage.read.selectFrom("refresh_families").select("id").where("user_id", "=", person.id);
    return (await families.where("revoked_at", "is", null).execute()).length;
  };
  const logIn = async (verification_code: string) => {
    const about = { grant_type: "authorization_code", ident_type: "email", ident: person.email };
    return token(tenant, { ...about, audience: tenant.audience, verification_code });
  };
  const refresh = (refresh_token: string) => token(tenant, { grant_type: "refresh_token", refresh_token });

  it("by a code gets no refresh token, and one that begins afterwards does", async () => {
    const mailed = await receiveCode(tenant, { email: person.email });
    const spy = meanwhile(/^begin_refresh_family$/, endAll, "before");
    expect(code(await logIn(mailed).finally(() => spy.mockRestore()))).toEqual([400, "invalid_grant"]);
    expect(await lasting()).toBe(0);
    const later = await logIn(await receiveCode(tenant, { email: person.email }));
    expect(later.status, later.text).toBe(200);
    expect((await refresh(later.body.refresh_token)).status).toBe(200);
  });

  it("gets none of an authorization code of before, from a process that has not heard of it either", async () => {
    const verification_code = await receiveCode(tenant, { email: person.email });
    const asked = { verification_code, response_type: "code", scope: "openid" };
    const given = await authorize(tenant, asked);
    expect(given.status, given.text).toBe(302);
    const begun = new URL(given.headers.get("location") ?? "").searchParams.get("code") ?? "";
    const unheard = vi.spyOn(latchkey.server.core.directory.revocations, "checkAlive").mockImplementation(() => {});
    try {
      await endAll();
      expect(code(await standard.redeem(begun))).toEqual([400, "invalid_grant"]);
    } finally {
      unheard.mockRestore();
    }
    expect(await lasting()).toBe(0);
  });

  it("gets nothing by an authorization code of a login that was ended by itself, from such a process", async () => {
    const { directory } = latchkey.server.core;
    const { account_id, audience } = tenant;
    const client = await addClient(latchkey, account_id, { first_party: true });
    await addGrant(latchkey, account_id, client, audience, ["orders:read"]);
    const verification_code = await receiveCode(tenant, { client, email: person.email });
    const asked = { client_id: client.client_id, verification_code, response_type: "code", scope: "openid" };
    const begun =
      new URL((await authorize(tenant, asked)).headers.get("location") ?? "").searchParams.get("code") ?? "";
    const { authorization } = readAuthorizationCode(directory.master_keys, account_id, secret(begun));
    const unheard = vi.spyOn(directory.revocations, "checkAlive").mockImplementation(() => {});
    try {
      await storage.write((tx) => directory.revocations.record(tx, account_id, [`sid:${authorization.sid}`]));
      expect(code(await standard.redeem(begun, client))).toEqual([400, "invalid_grant"]);
    } finally {
      unheard.mockRestore();
    }
  });

  it("leaves nobody logged in in the browser whose code was right before", async () => {
    const surfer = openSurfer(latchkey);
    const page = await surfer.visit(standard.address());
    const waiting = await surfer.act(page, "identify", { identifier: person.email });
    const [mail] = await inbox(tenant, person.email);
    const spy = meanwhile(/^redeem_\w+_code$/, endAll, "after");
    const acting = surfer.act(waiting, "code", { code: mail?.verification_code ?? "" });
    const shown = await acting.finally(() => spy.mockRestore());
    expect(shown.html).toContain('id="problem"');
    const silent = await surfer.visit(standard.address(tenant.client, { prompt: "none" }));
    expect(answered(silent).get("error")).toBe("login_required");
    const later = await surfer.logIn(standard.address(), tenant, person.email);
    expect(answered(later).get("code")).toBeTruthy();
  });

  it("waits for that, or is found by it: its refresh token and its browser", async () => {
    const first = await logIn(await receiveCode(tenant, { email: person.email }));
    expect(first.status, first.text).toBe(200);
    const [row] = await storage.read
      .selectFrom("refresh_families")
      .selectAll()
      .where("user_id", "=", person.id)
      .execute();
    if (!row) throw new Error("no refresh token was begun");
    const family = () => {
      const digest = Buffer.from(row.digest).toString("hex");
      return { ...row, id: crypto.randomUUID(), digest, created_at: instant(storage.now()) } as NewFamily;
    };
    const account = await findAccount(latchkey.server.core.directory, tenant.account_id);
    const subject = (): AuthenticatedSubject => ({
      user_id: person.id,
      authenticated_at: storage.now(),
      amr: ["otp"],
      second_factor: false,
      authorization_id: crypto.randomUUID(),
    });
    const begin = (now: number) => (tx: Transaction) =>
      beginSession(tx, account, subject(), { now: randomBytes(32) }, now);
    const browsers = async () => {
      const sessions = storage.read.selectFrom("sessions").select("id").where("user_id", "=", person.id);
      return (await sessions.where("ended_at", "is", null).execute()).length;
    };

    const late = family();
    await passed(storage.now());
    const refused = await overlap(storage, end, () => storage.hot(beginStatement, late));
    expect(refused).toMatchObject([{ status: "fulfilled" }, { status: "fulfilled", value: false }]);
    const came = storage.now();
    await passed(came);
    const turned_away = await overlap(storage, end, () => storage.write(begin(came)));
    expect(turned_away).toMatchObject([{ status: "fulfilled" }, { reason: { code: "invalid_grant" } }]);
    expect([await lasting(), await browsers()]).toEqual([0, 0]);

    const early = family();
    const found = await overlap(
      storage,
      (tx) => tx.hot(beginStatement, [early]),
      () => storage.write(end),
    );
    expect(found).toMatchObject([{ value: [true] }, { status: "fulfilled" }]);
    const logged_out = await overlap(storage, begin(storage.now()), () => storage.write(end));
    expect(logged_out).toMatchObject([{ status: "fulfilled" }, { status: "fulfilled" }]);
    expect([await lasting(), await browsers()]).toEqual([0, 0]);
    expect((await call(`${tenant.base}/auth/clients`, { token: tenant.token })).status, "whom nobody ended").toBe(200);
  });

  it("by a password that was right when it was compared is no guess", async () => {
    const { directory } = latchkey.server.core;
    const set = async (text: string) => {
      const hash = await hashPassword(tenant.account_id, secret(text));
      await storage.write((tx) =>
        storePassword(tx, tenant.account_id, person.id, { kind: "password", hash }, storage.now()),
      );
    };
    const guesses = async () => {
      const budgets = storage.read.selectFrom("budgets").select(["budget", "count"]);
      const rows = await budgets.where("subject", "=", person.id).where("budget", "=", "factor_guess").execute();
      return rows.map(({ count }) => Number(count));
    };
    /** `meanwhile`: once it was compared, before they are let in by it. */
    const logIn = async (text: string, meanwhile = async () => {}) => {
      let writes = 0;
      const write: Storage["write"] = async (work) => {
        writes += 1;
        if (writes === 2) await meanwhile();
        return storage.write(work);
      };
      const account = await findAccount(directory, tenant.account_id);
      const about = { account, client_id: tenant.client.id, grant_id: "", actor: "x", now: storage.now() };
      const facts = { request_id: "x", ip: "127.0.0.1" };
      const asked = { asks_for_factor: false, pin: false, source: null, facts };
      const login = { ...about, ...asked, person: person.id, password: secret(text) };
      return provePassword({ ...directory, storage: { ...storage, write } }, login);
    };
    await set("an old battery");
    expect((await logIn("an old battery")).user_id).toBe(person.id);
    await expect(logIn("a wrong battery")).rejects.toMatchObject({ code: "invalid_grant" });
    expect(await guesses()).toEqual([1]);
    await passed(storage.now());
    const changed = logIn("an old battery", () => set("a new battery"));
    await expect(changed).rejects.toMatchObject({ code: "invalid_grant" });
    expect(await guesses(), "the wrong one alone").toEqual([1]);
    expect((await logIn("a new battery")).user_id).toBe(person.id);
  });
});
