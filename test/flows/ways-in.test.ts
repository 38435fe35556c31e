/** Ways to prove who somebody is, taken in an order or at a time that nobody meant: what is shown then, and to whom. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  askForCode,
  authorize,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  newOwnerId,
  type Reply,
  receiveCode,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import {
  addPerson,
  logInAccountUser,
  oneTimePassword,
  PASSWORD,
  setFactors,
  setPassword,
  token,
} from "../support/people.ts";
import { code } from "../support/replies.ts";

describeOnBothEngines("a way in", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  const send = (tenant: Tenant, method: string, path: string, json?: object, bearer = tenant.token) =>
    call(`${tenant.base}${path}`, { method, token: bearer, ...(json ? { json } : {}) });
  const logIn = (tenant: Tenant, username: string, bearer = tenant.token, password = PASSWORD) =>
    token(tenant, { grant_type: "password", username, password, audience: tenant.audience }, bearer);
  const shown = (reply: Reply) =>
    claimsOf(new URL(reply.headers.get("location") ?? "").searchParams.get("id_token") ?? "");
  const newest = async (tenant: Tenant, to: string) => (await inbox(tenant, to))[0]?.verification_code ?? "";

  it("over a lost password is no authenticator app twice: the second factor is another one", async () => {
    const tenant = await createTenant(latchkey);
    const me = await logInAccountUser(latchkey, tenant);
    const app = (method: string, json?: object) =>
      call(`${latchkey.url}/v1/account/user/mfa/totp`, { method, token: me.token, ...(json ? { json } : {}) });
    const { secret } = (await app("POST")).body;
    expect((await app("PUT", { otp: oneTimePassword(secret, -1) })).status).toBe(201);
    const client = await addClient(latchkey, tenant.account_id, { user_type: "account_user" });
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["admin:accounts"]);
    const bearer = await tokenOf(latchkey, tenant.account_id, client);
    const recovery = { challenge_type: "oob", username: me.email, audience: tenant.issuer };
    const begun = (await send(tenant, "POST", "/auth/mfa/recovery", recovery, bearer)).body;
    const finish = (fields: object) => token(tenant, { grant_type: "mfa_oob", ...fields }, bearer);
    const half = await finish({ mfa_token: begun.mfa_token, otp: oneTimePassword(secret) });
    expect(code(half)).toEqual([403, "mfa_required"]);
    const { mfa_token } = half.body;
    const again = await finish({ mfa_token, otp: oneTimePassword(secret, 1) });
    expect([...code(again), again.body.error.errors?.[0].path]).toEqual([400, "invalid_request", "otp"]);
    const challenge = { challenge_type: "oob", mfa_token, oob_channel: "email" };
    const { oob_code } = (await send(tenant, "POST", "/auth/mfa/challenge", challenge, bearer)).body;
    const done = await finish({ mfa_token, oob_code, binding_code: await newest(tenant, me.email) });
    expect(claimsOf(done.body.access_token).amr).toEqual(["otp", "mfa"]);
  });

  it("by SMS that signs somebody up leads to their number, though the code was asked for by mail too", async () => {
    const tenant = await createTenant(latchkey, { client: { signup: true } });
    const phone_number = "+4740123456";
    const asked = await askForCode(tenant, { connection: "sms", phone_number });
    const login_session_id = asked.headers.get("login-session-id") ?? "";
    expect((await askForCode(tenant, { connection: "email", login_session_id })).status).toBe(204);
    const { sub, amr } = shown(await authorize(tenant, { verification_code: await newest(tenant, phone_number) }));
    expect(amr).toEqual(["otp", "sms"]);
    expect((await send(tenant, "GET", `/customers/users/${sub}`)).body.phone_number).toBe(phone_number);
  });

  it("by SMS signs nobody up as somebody else: not with a number that two share, nor as who merely entered it", async () => {
    const scope = ["admin:accounts", "create:customers:/users"];
    const tenant = await createTenant(latchkey, { client: { signup: true }, scope });
    const shared = "+4745000001";
    await addUser(latchkey, tenant.account_id, { phone_number: shared });
    await addUser(latchkey, tenant.account_id, { phone_number: shared });
    expect((await askForCode(tenant, { connection: "sms", phone_number: shared })).status).toBe(204);
    expect(await inbox(tenant, shared)).toEqual([]);
    const phone_number = "+4745000002";
    const stranger = await send(tenant, "POST", "/customers/users", { email: "eve@example.com", phone_number });
    expect(stranger.status, stranger.text).toBe(200);
    const logIn = async () =>
      shown(
        await authorize(tenant, { verification_code: await receiveCode(tenant, { connection: "sms", phone_number }) }),
      );
    const { sub } = await logIn();
    expect(sub).not.toBe(stranger.body.id);
    expect((await logIn()).sub, "the second time").toBe(sub);
  });

  it("by a code makes one user of two codes that sign up the same number or address at once", async () => {
    const tenant = await createTenant(latchkey, { client: { signup: true } });
    const other = await addClient(latchkey, tenant.account_id, { signup: true });
    await addGrant(latchkey, tenant.account_id, other, tenant.audience, ["orders:read"]);
    for (let round = 0; round < 16; round++) {
      const to = round % 2 ? { phone_number: `+47401235${10 + round}` } : { email: `twin-${round}@example.com` };
      const asking = { connection: round % 2 ? "sms" : "email", ...to };
      const codes = [await receiveCode(tenant, asking), await receiveCode(tenant, { ...asking, client: other })];
      const replies = await Promise.all(
        [tenant.client, other].map(({ client_id }, n) => authorize(tenant, { client_id, verification_code: codes[n] })),
      );
      expect(new Set(replies.map((reply) => shown(reply).sub)).size, `round ${round}`).toBe(1);
    }
  });

  it("does not lead over an address that was left while a login by SMS was under way", async () => {
    const tenant = await createTenant(latchkey);
    const { id, email, phone_number } = tenant.user;
    const asked = await askForCode(tenant, { connection: "sms", email });
    const login_session_id = asked.headers.get("login-session-id") ?? "";
    const value = `new-${email}`;
    const communication = (operation: string, json: object) =>
      send(tenant, "POST", `/customers/users/${id}/communication/${operation}/email`, json);
    await communication("send-verification-code", { value });
    const confirmed = await communication("confirm-verification-code", { code: await newest(tenant, value) });
    expect(confirmed.status).toBe(204);
    expect((await askForCode(tenant, { connection: "email", login_session_id })).status).toBe(204);
    expect((await inbox(tenant, email)).map(({ verification_code }) => verification_code)).toEqual([undefined]);
    const late = await authorize(tenant, { verification_code: await newest(tenant, phone_number) });
    expect(code(late)).toEqual([400, "verification_code_used"]);
    expect((await authorize(tenant, { verification_code: await receiveCode(tenant, { email: value }) })).status).toBe(
      302,
    );
  });

  it("by a second factor ends at the number that it went to, not at the one which took its place", async () => {
    const tenant = await createTenant(latchkey);
    const user = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const { mfa_token } = (await logIn(tenant, user.email)).body;
    const challenge = { challenge_type: "oob", mfa_token };
    const finish = async (to: string, oob_code: string) =>
      token(tenant, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code: await newest(tenant, to) });
    const asked = (await send(tenant, "POST", "/auth/mfa/challenge", challenge)).body;
    const sms = "+4799999998";
    await setFactors(latchkey, tenant.account_id, user.id, { sms });
    expect(code(await finish(user.phone_number, asked.oob_code))).toEqual([400, "invalid_grant"]);
    const again = (await send(tenant, "POST", "/auth/mfa/challenge", challenge)).body;
    expect((await finish(sms, again.oob_code)).status).toBe(200);
  });

  it("by a password ends with it, also between the two factors", async () => {
    const tenant = await createTenant(latchkey, { scope: ["admin:accounts"] });
    const user = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const { mfa_token } = (await logIn(tenant, user.email)).body;
    const challenge = { challenge_type: "oob", mfa_token };
    const { oob_code } = (await send(tenant, "POST", "/auth/mfa/challenge", challenge)).body;
    await setPassword(latchkey, tenant.account_id, user.id, "another battery");
    const binding_code = await newest(tenant, user.phone_number);
    const late = await token(tenant, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code });
    expect(code(late)).toEqual([400, "invalid_grant"]);
  });

  it("that the account names itself is the same where a code is minted and where it is redeemed", async () => {
    const tenant = await createTenant(latchkey);
    const made = await send(tenant, "POST", "/customers/users", { email: "dan@example.com", customer_id: "D-1" });
    const about = { grant_type: "authorization_code", ident_type: "user_id", audience: tenant.audience };
    for (const format of ["typable", "numeric", "link"])
      for (const ident of ["D-1", made.body.id]) {
        const verification_code = await mintCode(tenant, { user_id: ident, format });
        const reply = await token(tenant, { ...about, ident, verification_code });
        expect(code(reply), `${format} ${ident}`).toEqual([200, undefined]);
        expect(claimsOf(reply.body.access_token).sub).toBe(made.body.id);
      }
    const verification_code = await mintCode(tenant, { user_id: "D-1", format: "numeric" });
    expect(code(await token(tenant, { ...about, ident: "D-2", verification_code }))).toEqual([
      400,
      "invalid_verification_code",
    ]);
  });

  it("by a login session is the client's that the session was begun for", async () => {
    const tenant = await createTenant(latchkey);
    const shop = await addClient(latchkey, tenant.account_id, { code_format: "numeric" });
    await addGrant(latchkey, tenant.account_id, shop, tenant.audience, ["orders:read"]);
    const about = { grant_type: "authorization_code", audience: tenant.audience };
    for (const name of [{}, { ident_type: "login_session_id" }]) {
      const user = await addUser(latchkey, tenant.account_id);
      const asked = await askForCode(tenant, { client: shop, email: user.email });
      const id = asked.headers.get("login-session-id") ?? "";
      const named = "ident_type" in name ? { ...name, ident: id } : { login_session_id: id };
      const verification_code = await newest(tenant, user.email);
      const reply = await token(tenant, { ...about, ...named, verification_code });
      expect(code(reply), JSON.stringify(name)).toEqual([200, undefined]);
      expect(claimsOf(reply.body.access_token)).toMatchObject({ client_id: shop.client_id, scope: "orders:read" });
    }
  });

  it("by a mistyped code is the client's that the person's codes were sent for, whoever presents it", async () => {
    const tenant = await createTenant(latchkey);
    const { account_id, audience, user } = tenant;
    const { read } = latchkey.server.core.storage;
    const [shop, clerk] = [await addClient(latchkey, account_id), await addClient(latchkey, account_id)];
    await addGrant(latchkey, account_id, shop, audience, ["orders:read"]);
    await addGrant(latchkey, account_id, clerk, tenant.issuer, ["admin:accounts"], "client_credentials");
    const cannot_log_in = await tokenOf(latchkey, account_id, clerk);
    const login_session_id = "mistyped";
    await askForCode(tenant, { client: shop, login_session_id });
    const ident = { ident_type: "email", ident: user.email };
    const nobody = { ident_type: "email", ident: "nobody@example.com" };
    const about = { grant_type: "authorization_code", audience };
    const present = async (verification_code: string, named: object, bearer: string) => {
      const reply = await token(tenant, { ...about, ...named, verification_code }, bearer);
      const event = await read
        .selectFrom("audit_events")
        .select("entity")
        .where("account_id", "=", account_id)
        .where("action", "=", "verification_code.refused")
        .orderBy("id", "desc")
        .executeTakeFirst();
      return [...code(reply), event?.entity];
    };
    const invalid = [400, "invalid_verification_code"];
    for (const bearer of [cannot_log_in, tenant.token])
      for (const named of [ident, { login_session_id }])
        for (const wrong of ["ABCDE-ABCDE", "nonsense"])
          expect(await present(wrong, named, bearer), JSON.stringify(named)).toEqual([...invalid, shop.id]);
    expect(await present("ABCDE-ABCDE", nobody, cannot_log_in)).toEqual([...invalid, clerk.id]);
    expect(await present("123456", nobody, cannot_log_in)).toEqual([...invalid, clerk.id]);
    expect(await present("ABCDE-ABCDE", nobody, tenant.token)).toEqual([...invalid, tenant.client.id]);
    const counts = await read
      .selectFrom("budgets")
      .select(["subject", "count"])
      .where("account_id", "=", account_id)
      .where("budget", "=", "typable_guess")
      .execute();
    const counted = Object.fromEntries(counts.map(({ subject, count }) => [subject, Number(count)]));
    expect(counted).toEqual({ [shop.id]: 8, [clerk.id]: 1, [tenant.client.id]: 1 });
    // A numeric code is compared under a client that has one, though the caller's own has another kind.
    await mintCode(tenant);
    const numeric = await mintCode(tenant, { client_id: shop.client_id, format: "numeric" });
    expect(code(await token(tenant, { ...about, ...ident, verification_code: numeric }))).toEqual([200, undefined]);
  });

  it("stays open when short codes close: sending again sends the longer code", async () => {
    const settings = { numeric_guess_limit: 3 };
    const tenant = await createTenant(latchkey, { client: { code_format: "numeric" }, settings });
    const { email, phone_number } = tenant.user;
    const login_session_id = (await askForCode(tenant)).headers.get("login-session-id") ?? "";
    const right = await newest(tenant, email);
    const wrong = right === "000000" ? "000001" : "000000";
    for (let n = 0; n < 3; n++)
      expect((await authorize(tenant, { verification_code: wrong, login_session_id })).status).toBe(400);
    expect((await askForCode(tenant, { connection: "sms", login_session_id })).status).toBe(204);
    const verification_code = await newest(tenant, phone_number);
    expect(verification_code).toMatch(/^[0-9A-Z]{5}-[0-9A-Z]{5}$/);
    expect(await newest(tenant, email), "and by mail another one had gone").toMatch(/^[0-9A-Z]{5}-[0-9A-Z]{5}$/);
    expect(await newest(tenant, email), "connections share no code unasked").not.toBe(verification_code);
    expect((await authorize(tenant, { verification_code, login_session_id })).status).toBe(302);
  });

  it("by a user name is open at clients for that type of user alone, and asks there for the second factor", async () => {
    const tenant = await createTenant(latchkey, { settings: { mfa_login: true } });
    const user = await addUser(latchkey, tenant.account_id);
    const links = [{ rel: "customers_user", href: `https://shop.example/users/${user.id}` }];
    await send(tenant, "POST", "/auth/users", { username: "joe", password: PASSWORD, links });
    expect(code(await logIn(tenant, "joe"))).toEqual([403, "mfa_required"]);
    for (const user_type of ["account_user", "company"] as const) {
      const client = await addClient(latchkey, tenant.account_id, { user_type });
      await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
      await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["write:accounts:/auth/users"]);
      const bearer = await tokenOf(latchkey, tenant.account_id, client);
      expect(code(await logIn(tenant, "joe", bearer)), user_type).toEqual([400, "invalid_grant"]);
    }
  });

  it("by a user name takes no customer along, whatever its links were changed to", async () => {
    const tenant = await createTenant(latchkey);
    const user = await addUser(latchkey, tenant.account_id);
    const other = await addUser(latchkey, tenant.account_id);
    const customer = (id: string) => ({ rel: "customers_user", href: `https://shop.example/users/${id}` });
    const tel = { rel: "phone_number", href: "tel:+4740000000" };
    const put = (username: string, links: object[]) =>
      send(tenant, "PUT", `/auth/users/${username}`, { password: PASSWORD, links });
    await send(tenant, "POST", "/auth/users", { username: "linked", password: PASSWORD, links: [customer(user.id)] });
    await send(tenant, "POST", "/auth/users", { username: "alone", password: PASSWORD });
    expect((await put("linked", [tel])).body.links).toEqual([customer(user.id), tel]);
    expect((await put("linked", [tel, customer(user.id)])).body.links).toEqual([tel, customer(user.id)]);
    for (const username of ["linked", "alone"])
      expect(code(await put(username, [customer(other.id)])), username).toEqual([400, "invalid_request"]);
    const { sub } = claimsOf((await logIn(tenant, "alone")).body.access_token);
    for (const username of ["linked", "alone"])
      expect((await send(tenant, "DELETE", `/auth/users/${username}`)).status).toBe(200);
    const left = [user.id, other.id, sub].map((id) => send(tenant, "GET", `/customers/users/${id}`));
    expect((await Promise.all(left)).map(({ status }) => status)).toEqual([200, 200, 404]);
  });

  it("by a user name leaves nobody behind who got no name, when several ask for one at once", async () => {
    const tenant = await createTenant(latchkey);
    const users = latchkey.server.core.storage.read.selectFrom("users").where("account_id", "=", tenant.account_id);
    const before = (await users.select("id").execute()).length;
    const replies = await Promise.all(
      Array.from({ length: 4 }, () => send(tenant, "POST", "/auth/users", { username: "same", password: PASSWORD })),
    );
    expect(replies.map(({ status }) => status).toSorted()).toEqual([200, 400, 400, 400]);
    expect(await users.select("id").execute()).toHaveLength(before + 1);
  });

  it("by a password ends the logins before it when an administrator sets another one, or takes the name away", async () => {
    const tenant = await createTenant(latchkey);
    const refresh = (refresh_token: string) => token(tenant, { grant_type: "refresh_token", refresh_token });
    const links = [{ rel: "customers_user", href: `https://shop.example/users/${tenant.user.id}` }];
    await send(tenant, "POST", "/auth/users", { username: "kim", password: PASSWORD, links });
    const before = (await logIn(tenant, "kim")).body.refresh_token;
    await send(tenant, "POST", "/auth/users", { username: "kim-2", password: PASSWORD, links });
    expect(code(await refresh(before)), "another name, with a password that is theirs now").toEqual([
      400,
      "invalid_grant",
    ]);
    for (const [method, json] of [["PUT", { password: "a new battery" }], ["DELETE"]] as const) {
      const { refresh_token } = (
        await logIn(tenant, "kim", tenant.token, method === "PUT" ? PASSWORD : "a new battery")
      ).body;
      expect((await send(tenant, method, "/auth/users/kim", json)).status).toBe(200);
      expect(code(await refresh(refresh_token)), method).toEqual([400, "invalid_grant"]);
    }
  });

  it("is counted by who tries it and from where, and the count names neither", async () => {
    const tenant = await createTenant(latchkey, {
      ...{ account_id: newOwnerId(), client: { called_from: "server" }, settings: { signup: true } },
    });
    const { email } = tenant.user;
    const headers = { "end-user-ip": "203.0.113.77" };
    const json = { audience: tenant.audience, type: "customer", email, password: PASSWORD };
    const reply = await call(`${tenant.base}/customers/login`, { method: "POST", token: tenant.token, headers, json });
    expect(reply.status).toBe(400);
    expect((await send(tenant, "POST", "/signup", { email })).status).toBe(200);
    const budgets = latchkey.server.core.storage.read.selectFrom("budgets").where("account_id", "=", tenant.account_id);
    const subjects = (await budgets.select("subject").execute()).map(({ subject }) => subject);
    expect(subjects.filter((subject) => subject.includes("203.0.113") || subject.includes("@"))).toEqual([]);
  });

  /** Somebody known by a number alone, in whose name codes are guessed at until short ones close. */
  async function guessAtNumber(ident: string) {
    const settings = { numeric_guess_limit: 3 };
    const tenant = await createTenant(latchkey, { client: { code_format: "numeric" }, settings });
    const made = await send(tenant, "POST", "/customers/users", { phone_number: ident, customer_id: "guessed" });
    expect(made.status).toBe(200);
    const about = { ident_type: "phone_number", ident, verification_code: "123456" };
    const guesses = [1, 2, 3].map(() => authorize(tenant, about));
    expect((await Promise.all(guesses)).map(({ status }) => status)).toEqual([400, 400, 400]);
    return tenant;
  }
  async function moveTo(tenant: Tenant, value: string) {
    const communication = (operation: string, json: object) =>
      send(tenant, "POST", `/customers/users/guessed/communication/${operation}/phone_number`, json);
    await communication("send-verification-code", { value });
    expect((await communication("confirm-verification-code", { code: await newest(tenant, value) })).status).toBe(204);
  }

  it("tells by SMS who has nothing but a number, with a code that works: of guesses, and at a number that was left", async () => {
    const number = "+4740111333";
    const tenant = await guessAtNumber(number);
    const [told] = await inbox(tenant, number);
    expect(told?.text).toContain("Somebody is trying to guess");
    const verification_code = told?.verification_code ?? "";
    expect(verification_code, "a long one").toMatch(/^\w{5}-\w{5}$/);
    expect((await authorize(tenant, { verification_code })).status).toBe(302);
    await moveTo(tenant, "+4740111444");
    const [left, ...before] = await inbox(tenant, number);
    expect([left?.text, before.length]).toEqual([expect.stringContaining("Another address or number now logs in"), 1]);
  });

  it("tells nobody by SMS where the account sends none: neither of guesses nor of a number that was left", async () => {
    const tenant = await guessAtNumber("+46701234567");
    await moveTo(tenant, "+4740111222");
    expect(await inbox(tenant, "+46701234567")).toEqual([]);
  });
});
