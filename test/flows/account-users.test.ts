/** Account users: out of reach for who administers customers, and what they do with a login of their own. */
import { decodeJwt } from "jose";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { reveal, secret } from "../../src/secrets/secret.ts";
import { slowHash } from "../../src/secrets/slow-hash.ts";
import { signJws } from "../../src/tokens/jws.ts";
import { signingKey } from "../../src/tokens/keys/find-key.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  authorize,
  call,
  createTenant,
  inbox,
  type Latchkey,
  receiveCode,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import {
  addAccountUser,
  logInAccountUser,
  logInByMail,
  PASSWORD,
  personToken,
  setPassword,
  token,
} from "../support/people.ts";
import { code } from "../support/replies.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("an account user", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  /** Below `/v1/account/user`. */
  const mine = (method: string, path: string, bearer: string, json?: object) =>
    call(`${latchkey.url}/v1/account/user${path}`, { method, token: bearer, ...(json ? { json } : {}) });
  const change = (bearer: string, previous_password: string, proposed_password = "a new battery") =>
    mine("POST", "/password", bearer, { previous_password, proposed_password });

  it("is nobody to a bearer that administers customers alone", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["admin:customers"]);
    const bearer = await tokenOf(latchkey, tenant.account_id, client);
    const staff = await addAccountUser(latchkey, tenant, { scope: ["admin:accounts"] });
    const { read } = latchkey.server.core.storage;
    const row = () => read.selectFrom("users").selectAll().where("id", "=", staff.id).executeTakeFirstOrThrow();
    const before = await row();
    const evil = "evil@example.com";
    const ask = (method: string, suffix: string, json?: object, id = staff.id) =>
      call(`${tenant.base}/customers/users/${id}${suffix}`, { method, token: bearer, ...(json ? { json } : {}) });
    const contact = (operation: string) => `/communication/${operation}-verification-code/email`;
    for (const [method, suffix, json] of [
      ["GET", ""],
      ["POST", contact("send")],
      ["POST", contact("send"), { value: evil }],
      ["POST", contact("confirm"), { code: "000000" }],
      ["GET", "/consents"],
      ["DELETE", `/consents/${client.id}`],
      ["DELETE", ""],
    ] as const)
      expect(code(await ask(method, suffix, json)), `${method} ${suffix}`).toEqual([404, "not_found"]);
    expect(await row()).toEqual(before);
    expect([await inbox(tenant, staff.email), await inbox(tenant, evil)]).toEqual([[], []]);
    expect((await ask("GET", "", undefined, tenant.user.id)).status).toBe(200);
  });

  it("keeps their login where it cannot be noted that they were seen", async () => {
    const client = await addClient(latchkey, tenant.account_id, {
      ...({ first_party: true, user_type: "account_user", require_pkce: false } as const),
      grant_types: ["authorization_code", "refresh_token"],
    });
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["openid", "admin:accounts"]);
    const { email } = await addAccountUser(latchkey, tenant);
    const standard = standardClient(latchkey, tenant, client);
    const asked = { scope: "openid offline_access", resource: tenant.issuer };
    const shown = await openSurfer(latchkey).logIn(standard.address(client, asked), tenant, email);
    const { storage } = latchkey.server.core;
    const run = (statement: string) => storage.write(({ db }) => sql.raw(statement).execute(db));
    const fails = "before update of last_seen_at on users";
    if (engine === "sqlite") await run(`create trigger unseen ${fails} begin select raise(abort, 'held'); end`);
    else {
      await run("create function unseen() returns trigger language plpgsql as $$ begin raise 'held'; end $$");
      await run(`create trigger unseen ${fails} for each row execute function unseen()`);
    }
    const login = await standard.redeem(answered(shown).get("code") ?? "");
    expect(login.status, login.text).toBe(200);
    const refreshed = await standard.token({ grant_type: "refresh_token", refresh_token: login.body.refresh_token });
    expect(refreshed.status).toBe(200);
    await run(engine === "sqlite" ? "drop trigger unseen" : "drop trigger unseen on users");
    const { hot } = storage;
    const noted = vi.spyOn(storage, "hot").mockImplementation(async (statement, input) => {
      if (statement.name !== "note_seen") return hot(statement, input);
      return new Promise<never>(() => {});
    });
    const { refresh_token } = refreshed.body;
    const again = await standard.token({ grant_type: "refresh_token", refresh_token });
    expect(again.status, "without waiting for the note").toBe(200);
    expect(noted.mock.calls.map(([{ name }]) => name)).toContain("note_seen");
    noted.mockRestore();
  });

  it("is seen whenever they log in by the hosted pages or a code, or their login is refreshed, on either surface", async () => {
    const client = await addClient(latchkey, tenant.account_id, {
      ...({ first_party: true, user_type: "account_user", require_pkce: false } as const),
      grant_types: ["authorization_code", "refresh_token", "client_credentials"],
      response_types: ["authenticate", "code", "token"],
    });
    const scope = ["openid", "profile", "email", "admin:accounts", "create:accounts:auth:refresh_token"];
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, scope);
    const { id, email } = await addAccountUser(latchkey, tenant);
    const { storage } = latchkey.server.core;
    const seen = async (by: string) => {
      const look = storage.read.selectFrom("users").select("last_seen_at").where("id", "=", id);
      await expect.poll(async () => (await look.executeTakeFirst())?.last_seen_at, { message: by }).toBeTruthy();
      await storage.write(({ db }) =>
        db.updateTable("users").set({ last_seen_at: null }).where("id", "=", id).execute(),
      );
    };
    const standard = standardClient(latchkey, tenant, client);
    const asked = { scope: "openid email offline_access", resource: tenant.issuer };
    const shown = await openSurfer(latchkey).logIn(standard.address(client, asked), tenant, email);
    const login = await standard.redeem(answered(shown).get("code") ?? "");
    expect(login.status, login.text).toBe(200);
    await seen("hosted login");
    const { access_token, refresh_token } = login.body;
    expect((await mine("GET", "", access_token)).status).toBe(200);
    const refreshed = await standard.token({ grant_type: "refresh_token", refresh_token });
    expect(refreshed.status, refreshed.text).toBe(200);
    await seen("oauth/token");
    const bearer = await tokenOf(latchkey, tenant.account_id, client);
    const codeOf = () => receiveCode(tenant, { client, email, audience: tenant.issuer });
    const about = { grant_type: "authorization_code", ident_type: "email", ident: email, audience: tenant.issuer };
    const began = await token(tenant, { ...about, verification_code: await codeOf() }, bearer);
    await seen("a code");
    const json = { grant_type: "refresh_token", refresh_token: began.body.refresh_token };
    const again = await token(tenant, json, bearer);
    expect(again.status, again.text).toBe(200);
    await seen("auth/token");
    const { client_id } = client;
    const verification_code = await codeOf();
    const wanted = { client_id, audience: tenant.issuer, response_type: "token", verification_code };
    const given = await authorize(tenant, wanted);
    expect(new URL(given.headers.get("location") ?? "").hash, given.text).toContain("access_token=");
    await seen("auth/authorize");
  });

  it("is noted as seen once nothing of their login holds their row any more", async () => {
    const client = await addClient(latchkey, tenant.account_id, {
      ...({ first_party: true, user_type: "account_user", require_pkce: false } as const),
      ...{ grant_types: ["authorization_code", "refresh_token", "client_credentials"] },
    });
    const scope = ["openid", "email", "admin:accounts", "create:accounts:auth:refresh_token"];
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, scope);
    const { email } = await addAccountUser(latchkey, tenant);
    const standard = standardClient(latchkey, tenant, client);
    const asked = { scope: "openid offline_access", resource: tenant.issuer };
    const shown = await openSurfer(latchkey).logIn(standard.address(client, asked), tenant, email);
    const { storage } = latchkey.server.core;
    const { hot } = storage;
    const done: string[] = [];
    const watched = vi.spyOn(storage, "hot").mockImplementation(async (statement, input) => {
      if (statement.name === "note_seen") done.push(statement.name);
      const answer = await hot(statement, input);
      if (statement.name === "begin_refresh_family") done.push(statement.name);
      return answer;
    });
    expect((await standard.redeem(answered(shown).get("code") ?? "")).body.refresh_token).toBeTruthy();
    expect(done.splice(0), "oauth/token").toEqual(["begin_refresh_family", "note_seen"]);
    expect((await logInByMail(tenant, client, email)).body.refresh_token).toBeTruthy();
    expect(done, "auth/token").toEqual(["begin_refresh_family", "note_seen"]);
    watched.mockRestore();
  });

  it("is shown with whole roles where a caller asks for them, and else with none, since a role has its scopes", async () => {
    const send = async (method: string, path: string, json?: object) =>
      (await call(`${tenant.base}${path}`, { method, token: tenant.token, ...(json ? { json } : {}) })).body;
    const role = await send("POST", "/auth/roles", { name: "reads", scope: ["read:accounts"] });
    const roles = [{ id: role.id }];
    const { id } = await send("POST", "/management/users", { email: "role@corp.example", roles });
    const forms: [string, readonly object[] | undefined][] = [
      ["", undefined],
      ["expand=roles", [role]],
    ];
    for (const [query, shown] of forms) {
      const json = { email: `${query}new@corp.example`, roles };
      const added = await send("POST", `/management/users?${query}`, json);
      const [listed] = await send("GET", `/management/users?search=role@corp&${query}`);
      const changed = await send("PUT", `/management/users/${id}?${query}`, { name: "Di" });
      const deleted = await send("DELETE", `/management/users/${added.id}?${query}`);
      expect([listed.id, changed.id, deleted.id]).toEqual([id, id, added.id]);
      for (const one of [added, listed, changed, deleted]) expect(one.roles, query).toEqual(shown);
    }
    const wrong = await send("GET", "/management/users?expand=all");
    expect(wrong.error.errors).toEqual([{ path: "expand.0", code: "enum", message: 'must be one of "roles"' }]);
  });

  it("sees their account's icon, and its keys as a client does", async () => {
    const own = await createTenant(latchkey, { settings: { brand: { logo_uri: "https://shop.example/icon.png" } } });
    const me = await logInAccountUser(latchkey, own, { scope: ["read:accounts"] });
    const { accounts } = (await mine("GET", "", me.token)).body;
    expect(accounts).toMatchObject([{ account_id: own.account_id, icon_url: "https://shop.example/icon.png" }]);
    const keys = (bearer: string) => call(`${own.base}/auth/keys`, { token: bearer });
    expect(code(await keys((await logInAccountUser(latchkey, own, { scope: [] })).token))[1]).toBe(
      "insufficient_scope",
    );
    const seen = await keys(me.token);
    expect([seen.status, seen.body]).toEqual([200, (await keys(own.token)).body]);
  });

  it("changes their password, which ends their other logins and leaves the one at hand", async () => {
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, user_type: "account_user" });
    const scope = ["openid", "profile", "email", "admin:accounts", "create:accounts:auth:refresh_token"];
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, scope);
    const bearer = await tokenOf(latchkey, tenant.account_id, client);
    const { id, email } = await addAccountUser(latchkey, tenant);
    await setPassword(latchkey, tenant.account_id, id);
    const logIn = (password: string) =>
      token(tenant, { grant_type: "password", username: email, password, audience: tenant.issuer }, bearer);
    const refresh = ({ refresh_token }: { refresh_token: string }) =>
      token(tenant, { grant_type: "refresh_token", refresh_token }, bearer);
    const [first, second] = [(await logIn(PASSWORD)).body, (await logIn(PASSWORD)).body];
    expect((await mine("GET", "", second.access_token)).status).toBe(200);
    expect(code(await change(first.access_token, "wrong password"))).toEqual([400, "invalid_grant"]);
    expect((await mine("GET", "", second.access_token)).status).toBe(200);
    expect((await change(first.access_token, PASSWORD)).status).toBe(201);
    expect(code(await refresh(second))).toEqual([400, "invalid_grant"]);
    expect(code(await mine("GET", "", second.access_token))).toEqual([401, "invalid_token"]);
    expect((await mine("GET", "", first.access_token)).status).toBe(200);
    expect((await refresh(first)).status).toBe(200);
    expect(code(await logIn(PASSWORD))).toEqual([400, "invalid_grant"]);
    expect((await logIn("a new battery")).status).toBe(200);
  });

  it("changes their password, which ends what nobody could refresh of their other logins as well", async () => {
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, user_type: "account_user" });
    const scope = ["openid", "profile", "email", "admin:accounts"];
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, scope);
    const bearer = await tokenOf(latchkey, tenant.account_id, client);
    const { id, email } = await addAccountUser(latchkey, tenant);
    await setPassword(latchkey, tenant.account_id, id);
    const logIn = async (password: string): Promise<string> => {
      const login = { grant_type: "password", username: email, password, audience: tenant.issuer };
      const { access_token, refresh_token } = (await token(tenant, login, bearer)).body;
      expect(refresh_token).toBeUndefined();
      return access_token;
    };
    const exchange = async (own: string): Promise<string> =>
      (await token(tenant, { grant_type: "account_user" }, own)).body.access_token;
    const works = async (own: string) => (await mine("GET", "", own)).status === 200;
    const [other, own] = [await logIn(PASSWORD), await logIn(PASSWORD)];
    const before = [other, await exchange(other), own, await exchange(own)];
    const somebody = (await logInAccountUser(latchkey, tenant)).token;
    expect(await Promise.all([...before, somebody].map(works))).toEqual([true, true, true, true, true]);
    expect((await change(own, PASSWORD)).status).toBe(201);
    const after = await logIn("a new battery");
    const seen = [...before, after, somebody];
    expect(await Promise.all(seen.map(works))).toEqual([false, false, true, true, true, true]);
    expect((await change(after, "a new battery", PASSWORD)).status).toBe(201);
    expect(await Promise.all(seen.map(works))).toEqual([false, false, false, false, true, true]);
  });

  it("loses no guess at their own password to a server without room to hash it, or what takes its place", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 5 } });
    const me = await logInAccountUser(latchkey, own);
    await setPassword(latchkey, own.account_id, me.id);
    const five = async (previous: string) => {
      const replies = await Promise.all(Array.from({ length: 5 }, () => change(me.token, previous, PASSWORD)));
      return replies.map(({ status }) => status);
    };
    const hashes: Promise<unknown>[] = [];
    const flood = (count: number) => {
      for (let n = 0; n < count; n++)
        hashes.push(slowHash(own.account_id, secret("somebody else's")).catch(() => undefined));
    };
    const answers: number[] = [];
    do {
      // No room from the beginning; and rooms that fill up faster and faster.
      for (const [before, meanwhile] of [
        [250, 50],
        [0, 4],
        [0, 12],
      ] as const) {
        flood(before);
        const flooding = setInterval(() => flood(meanwhile), 5);
        answers.push(...(await five(PASSWORD)));
        clearInterval(flooding);
        await Promise.all(hashes);
      }
    } while (!answers.includes(503));
    expect([...new Set(answers)].filter((status) => ![201, 400, 503].includes(status))).toEqual([]);
    // With room for all, one of those that are compared at once is first; what the others showed stands no more.
    expect((await five(PASSWORD)).toSorted()).toEqual([201, 400, 400, 400, 400]);
    expect(await five("wrong password")).toEqual(Array(5).fill(400));
  });

  it("shows the previous password wherever there is one", async () => {
    const me = await logInAccountUser(latchkey, tenant);
    expect((await change(me.token, "the token of a new account")).status).toBe(201);
    for (const previous of ["the token of a new account", "another password"])
      expect(code(await change(me.token, previous, "a newer battery"))).toEqual([400, "invalid_grant"]);
    expect((await change(me.token, "a new battery", "a newer battery")).status).toBe(201);
  });

  it("exchanges their own token for one that tells of the same login, and lasts no longer", async () => {
    const me = await logInAccountUser(latchkey, tenant, { scope: ["read:accounts"] });
    const { tokens, storage } = latchkey.server.core;
    /** As it would be of somebody who logged in so many seconds earlier. */
    const aged = async (seconds: number) => {
      const key = await signingKey(tokens, tenant.account_id, "ES256", storage.now());
      const said = decodeJwt<{ auth_time: number }>(me.token);
      return reveal(await signJws(key, "at+jwt", { ...said, auth_time: said.auth_time - seconds }));
    };
    const exchange = (bearer: string, more: object = {}) =>
      token(tenant, { grant_type: "account_user", ...more }, bearer);
    const older = await aged(3_600);
    const { status, text, body } = await exchange(older);
    expect(status, text).toBe(200);
    const [before, after] = [decodeJwt(older), decodeJwt(body.access_token)];
    expect(before).toMatchObject({ sub: me.id, amr: ["otp"], auth_time: expect.any(Number), sid: expect.any(String) });
    for (const name of ["iss", "sub", "sid", "aud", "auth_time", "amr", "acr", "scope", "client_id"])
      expect(after[name], name).toEqual(before[name]);
    expect(after.jti).not.toBe(before.jti);
    expect(body.refresh_token).toBeUndefined();
    expect((await call(`${tenant.base}/auth/clients`, { token: body.access_token })).status).toBe(200);
    const { token: third } = await logInAccountUser(latchkey, tenant, { first_party: false });
    for (const [whose, bearer] of [
      ["through another's client", third],
      ["a customer's", await personToken(tenant)],
      ["a client's", tenant.token],
    ] as const)
      expect(code(await exchange(bearer)), whose).toEqual([403, "insufficient_scope"]);
    expect(code(await exchange(me.token, { audience: tenant.audience }))).toEqual([400, "invalid_target"]);
    expect((await exchange(await aged(86_000))).status).toBe(200);
    expect(code(await exchange(await aged(86_500))), "a day old").toEqual([401, "invalid_token"]);
  });

  it("switches their second factor by SMS on, at a number of the account's country, and off with it alone", async () => {
    const me = await logInAccountUser(latchkey, tenant);
    const set = (bearer: string, json: object) => mine("PUT", "/mfa/sms", bearer, json);
    expect((await set(me.token, { enabled: true, phone_number: "40112233" })).status).toBe(201);
    const pending = await logInByMail(tenant, me.client, me.email);
    expect(code(pending)).toEqual([403, "mfa_required"]);
    const { mfa_token } = pending.body;
    const asked = await call(`${tenant.base}/auth/mfa/challenge`, {
      ...{ method: "POST", token: tenant.token },
      json: { challenge_type: "oob", mfa_token },
    });
    const { oob_code } = asked.body;
    const [message] = await inbox(tenant, "+4740112233");
    const binding_code = message?.verification_code;
    const done = await token(tenant, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code });
    expect(done.status, done.text).toBe(200);
    const { access_token } = done.body;
    expect(decodeJwt(access_token)).toMatchObject({ sub: me.id, amr: ["otp", "sms", "mfa"] });
    expect(code(await set(me.token, { enabled: false }))).toEqual([403, "insufficient_scope"]);
    expect((await set(access_token, { enabled: false })).status).toBe(201);
    expect((await logInByMail(tenant, me.client, me.email)).status).toBe(200);
  });
});
