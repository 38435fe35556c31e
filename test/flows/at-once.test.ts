/** Changes that come at once: each that was acknowledged is there afterwards, and what follows from several fits all of them. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { associateTotp, disableFactor, enableSms, enableTotp } from "../../src/authentication/mfa/change-factors.ts";
import { selectFactors, updateStep, upsertFactor } from "../../src/authentication/mfa/store.ts";
import { changeSettings } from "../../src/directory/accounts/change-settings.ts";
import { createRole, replaceRole } from "../../src/directory/roles/change-role.ts";
import { findRole } from "../../src/directory/roles/find-role.ts";
import { holdPerson } from "../../src/directory/users/hold-user.ts";
import { loginAtHand } from "../../src/directory/users/logins-ended.ts";
import { answerStatement } from "../../src/oauth/browser/answer-statement.ts";
import { addConsent, deleteConsents, selectConsent } from "../../src/oauth/consents/store.ts";
import { reveal, secret } from "../../src/secrets/secret.ts";
import { instant, type Transaction } from "../../src/storage/storage.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
  addClient,
  addGrant,
  addUser,
  call,
  createTenant,
  inbox,
  type Latchkey,
  type Reply,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { overlap } from "../support/overlap.ts";
import {
  addAccountUser,
  addPerson,
  logInAccountUser,
  logInByMail,
  oneTimePassword,
  PASSWORD,
  setPassword,
  token,
} from "../support/people.ts";

const ROUNDS = 5;
/** Of a factor, where no login is to end. */
const change_of_factor = { actor, login: loginAtHand({ sid: "at-hand" }), endLogins: async () => {} };

describeOnBothEngines("changes at once", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const send = (method: string, path: string, json?: object) =>
    call(`${tenant.base}${path}`, { method, token: tenant.token, ...(json ? { json } : {}) });
  /** All of these at once, each acknowledged. */
  const change = async (method: string, path: string, changes: readonly object[]) => {
    const replies = await Promise.all(changes.map((one) => send(method, path, one)));
    expect(replies.map(({ status }) => status)).toEqual(changes.map(() => 200));
    return Object.assign({}, ...changes);
  };

  it("of a client are all kept", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { id } = await addClient(latchkey, tenant.account_id);
      const path = `/auth/clients/${id}`;
      const all = await change("PATCH", path, [
        { name: "Another" },
        { description: "Of a shop" },
        { code_format: "numeric" },
        { default_audience: "https://api.example" },
        { custom_claims: ["tier"] },
        { resource_for: ["https://stock.example"] },
      ]);
      expect((await send("GET", path)).body, `round ${round}`).toMatchObject(all);
    }
  });

  it("of a client never leave settings that one change alone would be refused", async () => {
    const [shop, other] = ["https://shop.example", "https://other.example"];
    for (let round = 0; round < ROUNDS; round++) {
      const { id } = await addClient(latchkey, tenant.account_id, { callbacks: [`${shop}/callback`] });
      const path = `/auth/clients/${id}`;
      const replies = await Promise.all([
        send("PATCH", path, { login_uri: `${shop}/login` }),
        send("PATCH", path, { callbacks: [`${other}/callback`] }),
      ]);
      expect(replies.map(({ status }) => status).toSorted(), `round ${round}`).toEqual([200, 400]);
      const { callbacks, login_uri } = (await send("GET", path)).body;
      expect(login_uri === null || callbacks[0].startsWith(shop), `round ${round}`).toBe(true);
    }
  });

  it("of an account are all kept", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const all = await change("PATCH", "/auth/settings", [
        { code_lifetime: 100 + round },
        { numeric_guess_limit: 11 + round },
        { session_idle_lifetime: 4_000 + round },
        { refresh_idle_lifetime: 5_000 + round },
        { access_token_lifetime: 300 + round },
      ]);
      expect((await send("GET", "/auth/settings")).body, `round ${round}`).toMatchObject(all);
    }
  });

  it("of an account that is deleted meanwhile are refused, and nothing of them is written", async () => {
    const { directory } = latchkey.server.core;
    const { storage } = directory;
    const { account_id } = await createTenant(latchkey, { settings: { code_lifetime: 300 } });
    const deleting = ({ db }: Transaction) =>
      db
        .updateTable("accounts")
        .set({ deleted_at: instant(storage.now()), deleted_by: actor.id })
        .where("account_id", "=", account_id)
        .execute();
    const changing = () => changeSettings(directory, account_id, { code_lifetime: 100 }, actor);
    const [, late] = await overlap(storage, deleting, changing);
    expect(late.status === "rejected" && [late.reason.code, late.reason.status]).toEqual(["not_found", 404]);
    const stored = storage.read.selectFrom("accounts").select("settings").where("account_id", "=", account_id);
    expect(JSON.parse((await stored.executeTakeFirstOrThrow()).settings)).toEqual({ code_lifetime: 300 });
    const events = storage.read.selectFrom("audit_events").select("action").where("account_id", "=", account_id);
    expect(await events.where("action", "=", "account.changed").execute()).toEqual([]);
  });

  it("of an account user are all kept, and their tokens name what they hold now", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const made = await send("POST", "/management/users", { email: `staff-${round}@example.com` });
      const path = `/management/users/${made.body.id}`;
      const agreement = { name: "terms", version: String(round) };
      const version = async () => {
        const users = latchkey.server.core.storage.read.selectFrom("users").select("profile");
        const { profile } = await users.where("id", "=", made.body.id).executeTakeFirstOrThrow();
        return JSON.parse(profile).scope_version;
      };
      const before = await version();
      await Promise.all([
        send("PUT", path, { agreement }),
        send("PUT", path, { scope: ["read:accounts"] }),
        send("PUT", path, { agreement }),
      ]);
      const users: { id: string }[] = (await send("GET", "/management/users")).body;
      const now = users.find(({ id }) => id === made.body.id);
      expect(now, `round ${round}`).toMatchObject({ agreement, scope: ["read:accounts"] });
      expect(await version(), "another one than was revoked").not.toBe(before);
    }
  });

  it("of a person's factors leave the login asking for what is switched on", async () => {
    const { core } = latchkey.server;
    for (let round = 0; round < ROUNDS; round++) {
      const { id: user_id, phone_number } = await addUser(latchkey, tenant.account_id);
      const owner = { account_id: tenant.account_id, user_id };
      const now = instant(core.storage.now());
      const totp = { ...owner, kind: "totp" as const, target: null, seed: Buffer.alloc(20), last_step: 0 };
      await core.storage.write((tx) => upsertFactor(tx.db, { ...totp, enabled_at: now, updated_at: now }));
      await Promise.all([
        enableSms(core.directory, owner, phone_number, change_of_factor),
        disableFactor(core.directory, owner, "totp", change_of_factor),
      ]);
      const users = core.storage.read.selectFrom("users").select("second_factor").where("id", "=", user_id);
      expect((await users.executeTakeFirst())?.second_factor, `round ${round}`).toBe(1);
    }
  });

  it("of an authenticator app never bring back a password that a login has spent", async () => {
    const { core } = latchkey.server;
    const { storage } = core;
    const { id: user_id } = await addUser(latchkey, tenant.account_id);
    const owner = { account_id: tenant.account_id, user_id };
    const { login: own } = change_of_factor;
    const seed = reveal((await associateTotp(core.directory, owner, "ada@example.com", "Shop", own)).secret);
    await enableTotp(core.directory, owner, secret(oneTimePassword(seed, -1)), change_of_factor);
    const spent = Math.floor(storage.now() / 30_000) + 1;
    const login = async ({ db }: Transaction) =>
      expect(await updateStep(db, tenant.account_id, user_id, spent)).toBe(true);
    const again = () => enableTotp(core.directory, owner, secret(oneTimePassword(seed)), change_of_factor);
    const [first, refused] = await overlap(storage, login, again);
    expect(first.status).toBe("fulfilled");
    const [factor] = await selectFactors(storage.read, tenant.account_id, user_id);
    expect(factor?.last_step).toBe(spent);
    expect(refused.status).toBe("rejected");
  });

  it("of a name's links and of its channels send binding codes where both say", async () => {
    const { read } = latchkey.server.core.storage;
    const links = (of: string) => [
      { rel: "phone_number", href: `tel:+4740000${of}` },
      { rel: "email", href: `mailto:name-${of}@example.com` },
    ];
    const password = "correct horse battery staple";
    for (let round = 0; round < ROUNDS; round++) {
      const username = `name-${round}`;
      const mfa = (channel: string) => ({ challenge_type: "oob", oob_channels: [channel] });
      const made = await send("POST", "/auth/users", {
        username,
        password,
        links: links(`10${round}`),
        mfa: mfa("sms"),
      });
      expect(made.status, made.text).toBe(200);
      await change("PUT", `/auth/users/${username}`, [
        { password, links: links(`20${round}`) },
        { password, mfa: mfa("email") },
      ]);
      const names = read.selectFrom("usernames").select("user_id").where("username", "=", username);
      const { user_id } = await names.executeTakeFirstOrThrow();
      const factors = await selectFactors(read, tenant.account_id, user_id);
      const sent_to = factors.filter(({ enabled_at }) => enabled_at !== null).map(({ kind, target }) => [kind, target]);
      expect(sent_to, `round ${round}`).toEqual([["email", `name-20${round}@example.com`]]);
    }
  });

  it("of what a person agreed to are all kept, and what they took back stays taken back", async () => {
    const { storage } = latchkey.server.core;
    const own = { account_id: tenant.account_id, client_id: (await addClient(latchkey, tenant.account_id)).id };
    const all = ["openid", "email", "phone", "orders:read", "orders:write"];
    for (let round = 0; round < ROUNDS; round++) {
      const key = { ...own, user_id: `person-${round}`, audience: "" };
      const agree = (scope: string) => {
        const agreed = { ...key, scope: [scope], host: "", granted_at: instant(storage.now()) };
        return storage.write((tx) => addConsent(tx.db, agreed));
      };
      await Promise.all(all.map(agree));
      expect((await selectConsent(storage.read, key))?.scope.toSorted(), `round ${round}`).toEqual(all.toSorted());
      const takeBack = storage.write((tx) => deleteConsents(tx.db, key.account_id, key.user_id, key.client_id));
      await Promise.all([takeBack, agree("address")]);
      // Whoever came first: the old ones are gone.
      expect((await selectConsent(storage.read, key))?.scope ?? ["address"]).toEqual(["address"]);
    }
  });

  it("of a role leave its holders what it says last, though they come in one millisecond", async () => {
    const { directory } = latchkey.server.core;
    const { id } = await createRole(directory, tenant.account_id, { scope: ["read:accounts"] }, actor);
    const role = await findRole(directory, tenant.account_id, id);
    const frozen = directory.storage.now();
    const storage = Object.create(directory.storage, { now: { value: () => frozen } });
    for (const scope of [["read:customers"], ["admin:customers"]])
      await replaceRole({ ...directory, storage }, role, { scope }, actor);
    const { token: bearer } = await logInAccountUser(latchkey, tenant, { role_ids: [id] });
    const seen = await call(`${tenant.base}/customers/users/${tenant.user.id}`, { token: bearer });
    expect(seen.status, seen.text).toBe(200);
  });

  /** Sets the password of whose token this is. */
  const choose = (bearer: string, json: object) =>
    call(`${latchkey.url}/v1/account/user/password`, { method: "POST", token: bearer, json });

  it("of a password are one: the second has not shown what stands by then", async () => {
    const own = { first_party: true, user_type: "account_user" } as const;
    const client = await addClient(latchkey, tenant.account_id, own);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["openid", "profile", "admin:accounts"]);
    const bearer = await tokenOf(latchkey, tenant.account_id, client);
    const { id, email } = await addAccountUser(latchkey, tenant);
    await setPassword(latchkey, tenant.account_id, id);
    const logIn = async (password: string) =>
      token(tenant, { grant_type: "password", username: email, password, audience: tenant.issuer }, bearer);
    const logins = [(await logIn(PASSWORD)).body.access_token, (await logIn(PASSWORD)).body.access_token];
    const replies = await Promise.all(
      logins.map((one, index) =>
        choose(one, { previous_password: PASSWORD, proposed_password: `a new battery ${index}` }),
      ),
    );
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(1);
    const stands = replies.findIndex(({ status }) => status === 201);
    expect((await logIn(`a new battery ${stands}`)).status).toBe(200);
  });

  it("of a password are one where there was none before", async () => {
    const { client, email } = await addAccountUser(latchkey, tenant);
    const logIn = async () => (await logInByMail(tenant, client, email)).body.access_token as string;
    const logins = [await logIn(), await logIn()];
    const replies = await Promise.all(
      logins.map((one, index) => choose(one, { proposed_password: `battery ${index}` })),
    );
    // The other has nothing to show, or its login has ended.
    const [done, refused] = replies.map(({ status }) => status).toSorted();
    expect([done, refused === 400 || refused === 401]).toEqual([201, true]);
  });

  it("of a password and a user name never wait for each other: the person is held before the password", async () => {
    const { storage } = latchkey.server.core;
    const { account_id } = tenant;
    const staff = await logInAccountUser(latchkey, tenant);
    const customer = await addPerson(latchkey, account_id);
    await setPassword(latchkey, account_id, staff.id);
    const reset = { email: customer.email, audience: tenant.audience, type: "customer" };
    expect((await send("POST", "/customers/change_password", reset)).status).toBe(204);
    const [mail] = await inbox(tenant, customer.email);
    const verification_code = mail?.verification_code;
    const { audience } = tenant;
    const login = { grant_type: "password", username: customer.email, password: PASSWORD, audience };
    const ways: readonly (readonly [string, string, () => Promise<Reply>])[] = [
      ["a login", customer.id, () => token(tenant, login)],
      [
        "a change",
        staff.id,
        () => choose(staff.token, { previous_password: PASSWORD, proposed_password: "batteries" }),
      ],
      [
        "a reset",
        customer.id,
        () => send("POST", "/customers/change_password", { ...reset, verification_code, password: "another battery" }),
      ],
    ];
    for (const [what, user_id, way] of ways) {
      const hold = (tx: Transaction) => holdPerson(tx, account_id, user_id);
      const free = async ({ db }: Transaction) => {
        const found = db.selectFrom("passwords").select("kind").where("user_id", "=", user_id);
        expect(await found.forUpdate().skipLocked().execute(), what).toHaveLength(1);
      };
      const [held, done] = await overlap(storage, hold, way, free);
      expect([held.status, done.status === "fulfilled" && done.value.status < 300], what).toEqual(["fulfilled", true]);
    }
  });

  it("of a login that two people of one browser answer are one answer", async () => {
    const { storage } = latchkey.server.core;
    const { account_id } = tenant;
    const milliseconds = storage.now();
    const [now, later] = [instant(milliseconds), instant(milliseconds + 60_000)];
    const browser_digest = Buffer.alloc(32, 1);
    const kept = { account_id, client_id: tenant.client.client_id, created_at: now, expires_at: later };
    const people = [await addUser(latchkey, account_id), await addUser(latchkey, account_id)];
    for (let round = 0; round < ROUNDS; round++) {
      const request_id = `request-${round}`;
      const sessions = [`one-${round}`, `other-${round}`];
      await storage.write(async ({ db }) => {
        const texts = { kind: "browser", parameters: "{}", progress: "{}" };
        await db
          .insertInto("authorization_requests")
          .values({ ...kept, ...texts, id: request_id, browser_digest })
          .execute();
        for (const [place, id] of sessions.entries()) {
          const whose = { account_id, id, browser_digest, user_id: people[place]?.id ?? "" };
          await db
            .insertInto("sessions")
            .values({ ...whose, auth_time: 1, amr: "[]", ...lifetimes(now, later) })
            .execute();
        }
      });
      const about = { account_id, request_id, now, idle_expires_at: later, client_id: "any", ...nobody_asked };
      const answer = (session_id: string) =>
        storage.hot(answerStatement, { ...about, session_id, sid: `login-${session_id}` });
      expect((await Promise.all(sessions.map(answer))).toSorted()).toEqual(["given", "given_before"]);
    }
  });

  it("of a login and a session that another browser's login has laid idle, or the end of all others has, is no answer", async () => {
    const { storage } = latchkey.server.core;
    const { account_id } = tenant;
    const milliseconds = storage.now();
    const [now, later] = [instant(milliseconds), instant(milliseconds + 60_000)];
    const { id: user_id } = await addUser(latchkey, account_id);
    const { id: ended_id } = await addUser(latchkey, account_id);
    const session = { account_id, user_id, auth_time: 1, amr: "[]", browser_digest: Buffer.alloc(32, 2) };
    const idle = { ...lifetimes(now, later), idle_expires_at: now };
    await storage.write(async ({ db }) => {
      await db
        .insertInto("sessions")
        .values({ ...session, id: "idle", ...idle })
        .execute();
      await db
        .insertInto("sessions")
        .values({ ...session, id: "live", ...lifetimes(now, later) })
        .execute();
      await db
        .insertInto("sessions")
        .values({ ...session, user_id: ended_id, id: "ended", ...lifetimes(now, later) })
        .execute();
      const ended = { logins_ended_at: later, logins_ended_but: `${later} ` };
      await db.updateTable("users").set(ended).where("id", "=", ended_id).execute();
    });
    const about = { account_id, request_id: null, now, idle_expires_at: later, client_id: "any", ...nobody_asked };
    const answer = (session_id: string) =>
      storage.hot(answerStatement, { ...about, session_id, sid: `login-${session_id}` });
    const answers = [await answer("idle"), await answer("ended"), await answer("live")];
    expect(answers).toEqual(["session_ended", "session_ended", "given"]);
    const read = storage.read.selectFrom("sessions").select("idle_expires_at").where("account_id", "=", account_id);
    expect(await read.where("id", "=", "idle").execute()).toEqual([{ idle_expires_at: now }]);
    const agreement = { account_id, user_id, client_id: "any", audience: "api", host: "one.example", granted_at: now };
    await storage.write(({ db }) => addConsent(db, { ...agreement, scope: ["a", "b"] }));
    const asking = (consent_host: string, scope: readonly string[]) => {
      const consent = { consent_audience: "api", consent_host, consent_scope: JSON.stringify(scope) };
      return storage.hot(answerStatement, { ...about, ...consent, session_id: "live", sid: null });
    };
    const agreed = [await asking("one.example", ["b"]), await asking("one.example", ["b", "c"])];
    expect([...agreed, await asking("two.example", ["b"])]).toEqual(["given", ...Array(2).fill("consent_withdrawn")]);
  });
});

const nobody_asked = { consent_audience: null, consent_host: null, consent_scope: null };
const lifetimes = (created_at: string, later: string) => ({ created_at, idle_expires_at: later, expires_at: later });
