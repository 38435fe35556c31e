/** A first-party client for account users is taken for each of them: its token sets their password and second factor. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  call,
  createTenant,
  type Latchkey,
  type Reply,
  startLatchkey,
  tokenOf,
} from "../support/latchkey.ts";
import { addAccountUser, logInByMail } from "../support/people.ts";
import { code } from "../support/replies.ts";

describeOnBothEngines("a bearer that holds less than the account's users", (engine) => {
  let latchkey: Latchkey;
  const asked: string[] = [];
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { onQuery: (text) => void asked.push(text) });
  });
  afterAll(() => latchkey.close());

  it("has no say over a client that is taken for an account user", async () => {
    const own = await createTenant(latchkey, { scope: ["admin:accounts", "admin:customers"] });
    const bearers: Record<string, string> = {};
    for (const scope of ["write:accounts", "admin:accounts"]) {
      const client = await addClient(latchkey, own.account_id);
      await addGrant(latchkey, own.account_id, client, own.issuer, [scope]);
      bearers[scope] = await tokenOf(latchkey, own.account_id, client);
    }
    const settings = { user_type: "account_user", first_party: true };
    const callbacks = ["https://evil.example/cb"];
    const make = (token: string | undefined, json: object) =>
      call(`${own.base}/auth/clients`, { method: "POST", ...(token ? { token } : {}), json });
    const refused = [403, "insufficient_scope"];
    const writer = bearers["write:accounts"];
    expect(code(await make(writer, { ...settings, callbacks })), "before anybody holds anything").toEqual(refused);
    const made = await make(bearers["admin:accounts"], settings);
    expect(made.status, made.text).toBe(200);
    const given = { client_id: made.body.id, audience: own.issuer, scope: ["openid"], type: "authorization_code" };
    const grant = await call(`${own.base}/auth/client-grants`, { method: "POST", token: own.token, json: given });
    expect(grant.status, grant.text).toBe(200);
    const [half, other] = [{ user_type: "account_user" }, { first_party: true }];
    const halves: Reply[] = [];
    for (const json of [half, other]) halves.push(await make(writer, json));
    expect(halves.map(({ status }) => status)).toEqual([200, 200]);
    const path = `/auth/clients/${made.body.id}`;
    const ways: [string, string, object?][] = [
      ["POST", "/auth/clients", settings],
      ["PATCH", `/auth/clients/${halves[0]?.body.id}`, other],
      ["PATCH", `/auth/clients/${halves[1]?.body.id}`, half],
      ["PATCH", path, { callbacks }],
      ["PATCH", path, { first_party: false, callbacks }],
      ["POST", `${path}/rotate-secret`],
      ["POST", "/auth/client-grants", { ...given, audience: "https://x.example" }],
      ["PATCH", `/auth/client-grants/${grant.body.id}`, { scope: ["openid", "email"] }],
      ["DELETE", `/auth/client-grants/${grant.body.id}`],
      ["DELETE", path],
    ];
    const tryAll = async (token: string | undefined) => {
      for (const [method, where, json] of ways) {
        const reply = await call(`${own.base}${where}`, { method, token: token ?? "", ...(json ? { json } : {}) });
        expect(code(reply), `${method} ${where} ${JSON.stringify(json)} ${reply.text}`).toEqual(refused);
      }
    };
    await tryAll(writer);
    // What anybody holds counts, their own scopes and those of their roles.
    const role = await call(`${own.base}/auth/roles`, {
      method: "POST",
      token: own.token,
      json: { scope: ["admin:customers"] },
    });
    const person = { email: "ada@corp.example", roles: [{ id: role.body.id }] };
    const ada = await call(`${own.base}/management/users`, { method: "POST", token: own.token, json: person });
    expect(ada.status, ada.text).toBe(200);
    await tryAll(bearers["admin:accounts"]);
    const change = { roles: [], scope: ["write:customers"] };
    const changed = { method: "PUT", token: own.token, json: change };
    expect((await call(`${own.base}/management/users/${ada.body.id}`, changed)).status).toBe(200);
    await tryAll(bearers["admin:accounts"]);
    const patched = await call(`${own.base}${path}`, { method: "PATCH", token: own.token, json: { callbacks } });
    expect(patched.status, patched.text).toBe(200);
  });

  it("is compared with any number of them by the same statements", async () => {
    const own = await createTenant(latchkey);
    const manage = (method: string, path: string, json: object) =>
      call(`${own.base}${path}`, { method, token: own.token, json });
    const role = (await manage("POST", "/auth/roles", { scope: ["read:accounts"] })).body;
    const jwks = { name: "IdP", uri: "https://idp.example/jwks", issuer: "https://idp.example" };
    const change = async () => {
      asked.splice(0);
      expect((await manage("PATCH", "/auth/settings", { jwks })).status).toBe(200);
      const staff = { user_type: "account_user", first_party: true };
      expect((await manage("POST", "/auth/clients", staff)).status).toBe(200);
      const texts = asked.map((text) => text.replaceAll(/ in \([^()]*\)/g, " in (…)"));
      return new Set(texts.filter((text) => text.includes('"user_roles"')));
    };
    const addUsers = async (count: number) => {
      for (let n = 0; n < count; n++) {
        const email = `ext${Math.random()}@example.com`;
        const user = { email, authentication_type: "external", scope: ["read:accounts"], roles: [{ id: role.id }] };
        expect((await manage("POST", "/management/users", user)).status).toBe(200);
      }
    };
    await change();
    await addUsers(1);
    const alone = await change();
    expect(alone.size).toBeGreaterThan(0);
    await addUsers(5);
    expect(await change()).toEqual(alone);
  });

  it("cannot put two halves together at once", async () => {
    const own = await createTenant(latchkey);
    const client = await addClient(latchkey, own.account_id);
    await addGrant(latchkey, own.account_id, client, own.issuer, ["write:accounts"]);
    const token = await tokenOf(latchkey, own.account_id, client);
    const target = await addClient(latchkey, own.account_id);
    const set = (json: object) => call(`${own.base}/auth/clients/${target.id}`, { method: "PATCH", token, json });
    for (let n = 0; n < 5; n++) {
      const both = await Promise.all([set({ user_type: "account_user" }), set({ first_party: true })]);
      expect(both.map(({ status }) => status).toSorted()).toEqual([200, 403]);
      expect((await set({ user_type: "customer" })).status).toBe(200);
      expect((await set({ first_party: false })).status).toBe(200);
    }
  });

  it("makes no first party of who has logged them in, by giving up that it does", async () => {
    const own = await createTenant(latchkey);
    const writing = await addClient(latchkey, own.account_id);
    await addGrant(latchkey, own.account_id, writing, own.issuer, ["write:accounts"]);
    const writer = await tokenOf(latchkey, own.account_id, writing);
    const ada = await addAccountUser(latchkey, own, { scope: ["admin:accounts"] });
    const third = await addClient(latchkey, own.account_id, { user_type: "account_user" });
    await addGrant(latchkey, own.account_id, third, own.issuer, ["openid"]);
    const { access_token } = (await logInByMail(own, third, ada.email)).body;
    const me = (path: string, json?: object) =>
      call(`${latchkey.url}/v1/account/user${path}`, {
        token: access_token,
        ...(json ? { method: "POST", json } : {}),
      });
    const set = (json: object) =>
      call(`${own.base}/auth/clients/${third.id}`, { method: "PATCH", token: writer, json });
    const [first, another] = [{ first_party: true }, { user_type: "customer" }];
    const refused = [403, "insufficient_scope"];
    for (const json of [first, { ...first, ...another }])
      expect(code(await set(json)), JSON.stringify(json)).toEqual(refused);
    for (const json of [another, first]) expect((await set(json)).status, JSON.stringify(json)).toBe(200);
    for (const reply of [
      await me("/password", { proposed_password: "a new battery" }),
      await me("/mfa/totp", {}),
      await me(""),
    ])
      expect(code(reply), reply.text).toEqual(refused);
  });
});
