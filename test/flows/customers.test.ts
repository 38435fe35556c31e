/** Customers with passwords, PINs and user names; addresses that they verify and change; a redirect with an ID token. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  call,
  createTenant,
  inbox,
  type Latchkey,
  receiveCode,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, personToken, token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { until } from "../support/smtp.ts";

describeOnBothEngines("a customer", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const send = (method: string, path: string, json?: object, bearer = tenant.token) =>
    call(`${tenant.base}${path}`, { method, token: bearer, ...(json ? { json } : {}) });
  const logIn = (email: string, password: string, more: object = {}) =>
    send("POST", "/customers/login", { audience: tenant.audience, type: "customer", email, password, ...more });

  it("logs in with the password they were created with, by address or number", async () => {
    const created = await send("POST", "/customers/users", {
      email: "pw@example.com",
      phone_number: "40000001",
      password: PASSWORD,
      customer_id: "c-1",
    });
    expect(created.status, created.text).toBe(200);
    expect(created.text).not.toContain(PASSWORD);
    const reply = await logIn("PW@example.com", PASSWORD);
    expect(claimsOf(reply.body.access_token)).toMatchObject({
      sub: created.body.id,
      amr: ["pwd"],
      acr: "urn:latchkey:acr:1fa",
    });
    const by_number = {
      audience: tenant.audience,
      type: "customer",
      ident_type: "phone_number",
      ident: "40000001",
      password: PASSWORD,
    };
    expect((await send("POST", "/customers/login", by_number)).status).toBe(200);
    expect(code(await logIn("pw@example.com", PASSWORD, { type: "company" }))).toEqual([400, "invalid_request"]);
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["create:customers:/users"]);
    const weak = await tokenOf(latchkey, tenant.account_id, client);
    expect(code(await send("POST", "/customers/users", { email: "x@example.com", password: PASSWORD }, weak))).toEqual([
      403,
      "insufficient_scope",
    ]);
  });

  it("is answered alike whether they exist, have a password or typed a wrong one", async () => {
    const { email } = await addUser(latchkey, tenant.account_id);
    const known = await addPerson(latchkey, tenant.account_id);
    const replies = [
      await logIn("nobody@example.com", PASSWORD),
      await logIn(email, PASSWORD),
      await logIn(known.email, "wrong password"),
    ];
    expect(replies.map(code)).toEqual(Array(3).fill([400, "invalid_grant"]));
    expect(new Set(replies.map(({ text }) => text)).size).toBe(1);
  });

  it("uses a PIN before a second factor alone", async () => {
    const own = await createTenant(latchkey, { settings: { mfa_login: true } });
    const email = "pin@example.com";
    await call(`${own.base}/customers/users`, {
      method: "POST",
      token: own.token,
      json: { email, phone_number: "40000002", pin: "123456" },
    });
    const ident = { audience: own.audience, type: "customer", ident_type: "email", ident: email };
    const post = (path: string, json: object) => call(`${own.base}${path}`, { method: "POST", token: own.token, json });
    expect((await post("/customers/mfa_login", { ...ident, secret: "123456" })).status).toBe(200);
    await call(`${own.base}/auth/settings`, { method: "PATCH", token: own.token, json: { mfa_login: false } });
    expect(code(await post("/customers/login", { ...ident, password: "123456" }))).toEqual([400, "invalid_grant"]);
  });

  it("needs a grant that allows passwords", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["write:accounts:/auth/users"]);
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"], "authorization_code");
    const bearer = await tokenOf(latchkey, tenant.account_id, client);
    const json = { grant_type: "password", username: tenant.user.email, password: PASSWORD, audience: tenant.audience };
    expect(code(await token(tenant, json, bearer))).toEqual([403, "unauthorized_client"]);
  });

  it("chooses a new password with a mailed code, which ends their other logins", async () => {
    const person = await addPerson(latchkey, tenant.account_id);
    const about = { email: person.email, audience: tenant.audience, type: "customer" };
    const before = (await logIn(person.email, PASSWORD)).body;
    const asked = await send("POST", "/customers/change_password", about);
    const nobody = await send("POST", "/customers/change_password", { ...about, email: "nobody@example.com" });
    expect([asked.status, asked.text]).toEqual([nobody.status, nobody.text]);
    const [mail] = await inbox(tenant, person.email);
    expect(mail?.subject).toContain("new password");
    const change = (verification_code: string, password: string) =>
      send("POST", "/customers/change_password", { ...about, verification_code, password });
    expect(code(await change("7KQM4-X2PVD", "a new battery"))).toEqual([400, "invalid_verification_code"]);
    expect(code(await change(mail?.verification_code ?? "", "short"))).toEqual([400, "invalid_request"]);
    expect((await change(mail?.verification_code ?? "", "a new battery")).status).toBe(204);
    expect(code(await change(mail?.verification_code ?? "", "another battery"))).toEqual([
      400,
      "verification_code_used",
    ]);
    expect((await logIn(person.email, "a new battery")).status).toBe(200);
    expect((await logIn(person.email, PASSWORD)).status).toBe(400);
    const refreshed = await token(tenant, { grant_type: "refresh_token", refresh_token: before.refresh_token });
    expect(code(refreshed)).toEqual([400, "invalid_grant"]);
  });

  it("ends with the old password every login by it, those that are just under way as well", async () => {
    const person = await addPerson(latchkey, tenant.account_id);
    const about = { email: person.email, audience: tenant.audience, type: "customer" };
    await send("POST", "/customers/change_password", about);
    const [mail] = await inbox(tenant, person.email);
    let changed = false;
    const stolen: string[] = [];
    const thief = async () => {
      while (!changed) {
        const { body } = await logIn(person.email, PASSWORD);
        if (body.refresh_token) stolen.push(body.refresh_token);
      }
    };
    const thieves = [thief(), thief(), thief()];
    await until("three logins", async () => stolen.length > 2);
    const { verification_code } = mail ?? {};
    const change = await send("POST", "/customers/change_password", {
      ...about,
      verification_code,
      password: "a new battery",
    });
    changed = true;
    await Promise.all(thieves);
    expect(change.status).toBe(204);
    const refreshed = await Promise.all(
      stolen.map((refresh_token) => token(tenant, { grant_type: "refresh_token", refresh_token })),
    );
    expect(refreshed.map(({ status }) => status)).toEqual(stolen.map(() => 400));
  });

  it("has a user name where the account gives one, which can be changed and goes", async () => {
    const links = [
      { rel: "phone_number", href: "tel:+4799999999" },
      { rel: "email", href: "mailto:name@example.com" },
    ];
    const mfa = { challenge_type: "oob", oob_channels: ["sms"] };
    const created = await send("POST", "/auth/users", { username: "ada", password: PASSWORD, links, mfa });
    expect(created.body).toMatchObject({ username: "ada", links, mfa });
    expect(code(await send("POST", "/auth/users", { username: "ada", password: PASSWORD }))).toEqual([
      400,
      "invalid_request",
    ]);
    expect(code(await send("POST", "/auth/users", { username: "bo", password: PASSWORD, mfa }))).toEqual([
      400,
      "invalid_request",
    ]);
    const logInAs = (username: string, password: string) =>
      token(tenant, { grant_type: "password", username, password, audience: tenant.audience });
    expect(code(await logInAs("ada", PASSWORD))).toEqual([403, "mfa_required"]);
    expect((await send("PUT", "/auth/users/ada", { password: "a new battery" })).status).toBe(200);
    expect(code(await logInAs("ada", PASSWORD))).toEqual([400, "invalid_grant"]);
    await send("POST", "/auth/users", { username: "taken", password: PASSWORD });
    expect(code(await send("POST", "/auth/users/ada/change_username", { username: "taken" }))).toEqual([
      400,
      "invalid_request",
    ]);
    expect((await send("POST", "/auth/users/ada/change_username", { username: "ada.l" })).body.username).toBe("ada.l");
    expect(code(await logInAs("ada", "a new battery"))).toEqual([400, "invalid_grant"]);
    expect(code(await logInAs("ada.l", "a new battery"))).toEqual([403, "mfa_required"]);
    expect((await send("DELETE", "/auth/users/ada.l")).body.deleted_at).toBeTruthy();
    expect(code(await logInAs("ada.l", "a new battery"))).toEqual([400, "invalid_grant"]);
    expect((await send("POST", "/auth/users", { username: "ada.l", password: PASSWORD })).status).toBe(200);
  });

  it("keeps a customer's second factor where a further user name says nothing about it", async () => {
    const person = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const links = [{ rel: "customers_user", href: `https://shop.example/users/${person.id}` }];
    const named = await send("POST", "/auth/users", { username: "kim", password: PASSWORD, links });
    expect(named.status, named.text).toBe(200);
    const logInAsKim = () =>
      token(tenant, { grant_type: "password", username: "kim", password: PASSWORD, audience: tenant.audience });
    expect(code(await logInAsKim())).toEqual([403, "mfa_required"]);
    await send("PUT", "/auth/users/kim", { password: PASSWORD, links });
    expect(code(await logInAsKim())).toEqual([403, "mfa_required"]);
  });

  it("keeps a customer whose user name goes", async () => {
    const user = await addUser(latchkey, tenant.account_id);
    const links = [{ rel: "customers_user", href: `https://shop.example/users/${user.id}` }];
    await send("POST", "/auth/users", { username: "linked", password: PASSWORD, links });
    const done = await token(tenant, {
      grant_type: "password",
      username: "linked",
      password: PASSWORD,
      audience: tenant.audience,
    });
    expect(claimsOf(done.body.access_token).sub).toBe(user.id);
    await send("DELETE", "/auth/users/linked");
    expect((await send("GET", `/customers/users/${user.id}`)).status).toBe(200);
    expect((await logIn(user.email, PASSWORD)).status).toBe(400);
  });

  it("verifies an address before it logs in, and the old one hears of the change", async () => {
    const user = await addUser(latchkey, tenant.account_id);
    const path = (operation: string, field = "email") =>
      `/customers/users/${user.id}/communication/${operation}/${field}`;
    const value = "changed@example.com";
    expect((await send("POST", path("send-verification-code"), { value })).status).toBe(204);
    const [mail] = await inbox(tenant, value);
    expect((await send("GET", `/customers/users/${user.id}`)).body.email).toBe(user.email);
    const right = mail?.verification_code ?? "";
    const confirm = (typed: string) => send("POST", path("confirm-verification-code"), { code: typed });
    expect(code(await confirm(right === "000000" ? "000001" : "000000"))).toEqual([400, "invalid_verification_code"]);
    const { storage, master_keys } = latchkey.server.core.directory;
    const sealedUnder = (key_version: string) =>
      storage.write((tx) =>
        tx.db.updateTable("contact_challenges").set({ key_version }).where("user_id", "=", user.id).execute(),
      );
    await sealedUnder("00000000");
    expect(code(await confirm(right)), "its master key is gone").toEqual([400, "invalid_verification_code"]);
    await sealedUnder(master_keys.current);
    const replies = await Promise.all([confirm(right), confirm(right)]);
    expect(replies.map(({ status }) => status).toSorted()).toEqual([204, 400]);
    expect((await send("GET", `/customers/users/${user.id}`)).body.email).toBe(value);
    const [told] = await inbox(tenant, user.email);
    expect(told?.subject).toContain("has changed");
    expect(told?.verification_code).toBeUndefined();
    const taken = await addUser(latchkey, tenant.account_id);
    await send("POST", path("send-verification-code"), { value: taken.email });
    const [theirs] = await inbox(tenant, taken.email);
    expect(code(await confirm(theirs?.verification_code ?? ""))).toEqual([400, "invalid_request"]);
  });

  it("is let in by no code that went to the address which they have left", async () => {
    const { id, email } = await addUser(latchkey, tenant.account_id);
    const communication = (operation: string, json: object) =>
      send("POST", `/customers/users/${id}/communication/${operation}/email`, json);
    const value = `left-${email}`;
    await communication("send-verification-code", { value });
    const [mail] = await inbox(tenant, value);
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    const old = [await receiveCode(tenant, { email }), await receiveCode(tenant, { client, email })];
    expect((await communication("confirm-verification-code", { code: mail?.verification_code })).status).toBe(204);
    const about = { grant_type: "authorization_code", audience: tenant.audience, ident_type: "user_id", ident: id };
    for (const verification_code of old)
      expect(code(await token(tenant, { ...about, verification_code }))).toEqual([400, "verification_code_used"]);
    const verification_code = await receiveCode(tenant, { email: value });
    expect((await token(tenant, { ...about, verification_code })).status).toBe(200);
  });

  it("verifies only their own address with a token of theirs", async () => {
    const own = await createTenant(latchkey, { scope: ["admin:accounts", "user:customers"] });
    const bearer = await personToken(own);
    const other = await addUser(latchkey, own.account_id);
    const post = (id: string) =>
      call(`${own.base}/customers/users/${id}/communication/send-verification-code/email`, {
        method: "POST",
        token: bearer,
      });
    expect((await post(own.user.id)).status).toBe(204);
    const { storage } = latchkey.server.core;
    for (const [id, customer_id] of [
      [own.user.id, "mine"],
      [other.id, "theirs"],
    ] as const)
      await storage.write((tx) => tx.db.updateTable("users").set({ customer_id }).where("id", "=", id).execute());
    expect((await post("mine")).status).toBe(204);
    const refused = [await post(other.id), await post("theirs"), await post("nobody")];
    expect(refused.map(code)).toEqual(Array(3).fill([403, "insufficient_scope"]));
    const consents = (id: string, suffix = "", method = "GET") =>
      call(`${own.base}/customers/users/${id}/consents${suffix}`, { method, token: bearer });
    expect([(await consents("mine")).status, code(await consents("theirs"))[0]]).toEqual([200, 403]);
    const client = `/${own.client.id}`;
    expect((await consents("mine", client, "DELETE")).status, "nothing to take back").toBe(404);
    expect((await consents("nobody", client, "DELETE")).status).toBe(403);
  });

  it("is sent on with an ID token that says no more than was asked and allowed", async () => {
    const own = await createTenant(latchkey, { client: { custom_claims: ["tier"], first_party: true } });
    const bearer = await personToken(own);
    const post = (json: object, headers: Record<string, string> = {}) =>
      call(`${own.base}/auth/redirect`, { method: "POST", token: bearer, json, headers });
    const redirect_uri = "https://shop.example/callback";
    const plain = await post({ redirect_uri });
    expect(plain.status).toBe(302);
    const others = ["text/html, application/json;q=0", "application/json ; Q=0.000", "application/json-patch+json"];
    for (const accept of others) expect((await post({ redirect_uri }, { accept })).status, accept).toBe(302);
    for (const accept of ["Application/JSON;q=0.5", "text/html, application/json ;charset=utf-8"])
      expect((await post({ redirect_uri }, { accept })).status, accept).toBe(200);
    const first = claimsOf(new URL(plain.headers.get("location") ?? "").searchParams.get("id_token") ?? "");
    expect(first).toMatchObject({ sub: own.user.id, aud: redirect_uri });
    expect(first.email).toBeUndefined();
    const asked = await post(
      { redirect_uri, claims: ["email", "name"], custom_claims: { tier: "gold" } },
      { accept: "application/json" },
    );
    const second = claimsOf(new URL(asked.body.redirect_uri).searchParams.get("id_token") ?? "");
    expect(second).toMatchObject({ email: own.user.email, name: "Ada Example", ext_tier: "gold" });
    expect(code(await post({ redirect_uri, custom_claims: { sub: "evil" } }))).toEqual([400, "invalid_request"]);
    expect(code(await post({ redirect_uri: "https://evil.example/" }))).toEqual([400, "redirect_uri_mismatch"]);
  });

  it("is told about to a client of somebody else's no more than its token's scope says", async () => {
    for (const [scope, told] of [
      [[], []],
      [["email"], ["email"]],
      [["profile"], ["name"]],
    ] as const) {
      const own = await createTenant(latchkey, { scope: ["admin:accounts", ...scope] });
      const json = { redirect_uri: "https://shop.example/callback", claims: ["email", "name"] };
      const sent = await call(`${own.base}/auth/redirect`, { method: "POST", token: await personToken(own), json });
      expect(sent.status, sent.text).toBe(302);
      const said = claimsOf(new URL(sent.headers.get("location") ?? "").searchParams.get("id_token") ?? "");
      expect(said.sub).toBe(own.user.id);
      expect(["email", "name"].filter((name) => name in said)).toEqual(told);
    }
  });

  it("has a user name that nobody else gets, however many ask for it at once", async () => {
    const people = Array.from({ length: 8 }, (_, n) => `several-${n}`);
    for (const username of people)
      expect((await send("POST", "/auth/users", { username, password: PASSWORD })).status).toBe(200);
    for (let round = 0; round < 5; round++) {
      const username = `wanted-${round}`;
      const replies = await Promise.all(
        people.map((person) => send("POST", `/auth/users/${person}/change_username`, { username })),
      );
      const winner = replies.findIndex(({ status }) => status === 200);
      expect(replies.toSpliced(winner, 1).map(code)).toEqual(Array(7).fill([400, "invalid_request"]));
      people[winner] = username;
    }
  });

  it("stays when their user name goes, also where its links no longer name them", async () => {
    const { body } = await send("POST", "/customers/users", { customer_id: "c-9", email: "nine@example.com" });
    const links = [{ rel: "customers_user", href: `https://x.example/users/${body.id}` }];
    await send("POST", "/auth/users", { username: "nine", password: PASSWORD, links });
    const elsewhere = { password: PASSWORD, links: [{ rel: "phone_number", href: "tel:+4740000909" }] };
    expect((await send("PUT", "/auth/users/nine", elsewhere)).status).toBe(200);
    expect((await send("DELETE", "/auth/users/nine")).status).toBe(200);
    expect((await send("GET", "/customers/users/c-9")).status).toBe(200);
  });

  it("takes their user name with them, which is free again and means nobody", async () => {
    const username = "ten@example.com";
    const create = async () =>
      (await send("POST", "/customers/users", { customer_id: "c-10", email: username, password: PASSWORD })).body;
    const name = (id: string) => {
      const links = [{ rel: "customers_user", href: `https://x.example/users/${id}` }];
      return send("POST", "/auth/users", { username, password: PASSWORD, links });
    };
    const first = await create();
    expect((await name(first.id)).status).toBe(200);
    expect((await send("DELETE", "/customers/users/c-10")).status).toBe(200);
    const path = `/auth/users/${username}`;
    expect((await send("PUT", path, { password: PASSWORD })).status).toBe(404);
    const { id } = await create();
    const login = { grant_type: "password", username, password: PASSWORD, audience: tenant.audience };
    const reply = await token(tenant, login);
    expect([reply.status, claimsOf(reply.body.access_token ?? ".e30").sub], "by the address").toEqual([200, id]);
    await send("POST", "/auth/users", { username: "eleven", password: PASSWORD });
    const renamed = await send("POST", "/auth/users/eleven/change_username", { username });
    expect(renamed.status, renamed.text).toBe(200);
    expect((await send("DELETE", path)).status).toBe(200);
    expect((await name(id)).status).toBe(200);
  });
});
