/** Scopes by the names that they had before: what they open is what the names of now open, and so is who hands them out. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { logInAccountUser, logInByMail } from "../support/people.ts";
import { code } from "../support/replies.ts";

const refused = [403, "insufficient_scope"];

describeOnBothEngines("a former name of a scope", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  async function holding(...scope: string[]): Promise<{ client: TestClient; token: string }> {
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, scope);
    return { client, token: await tokenOf(latchkey, tenant.account_id, client) };
  }
  const send = (method: string, path: string, token: string, json?: object) =>
    call(`${tenant.base}${path}`, { method, token, ...(json ? { json } : {}) });

  it("lets a client in that was made with it, and lets it log people in", async () => {
    const { client, token } = await holding("accounts:auth:users", "customer_customers:write");
    expect(claimsOf(token).scope).toBe("accounts:auth:users customer_customers:write");
    const email = "of-before@example.com";
    const password = "hamilton 1969";
    const made = await send("POST", "/customers/users", token, { email, password });
    expect(made.status, made.text).toBe(200);
    const login = { email, password, type: "customer", audience: tenant.issuer };
    const entered = await send("POST", "/customers/login", token, login);
    expect(entered.status, entered.text).toBe(200);
    expect((await send("POST", "/auth/users", token, { username: "former", password })).status).toBe(200);
    expect(code(await send("GET", "/auth/clients", token))).toEqual(refused);
    expect((await send("GET", "/auth/clients", (await holding("accounts:read")).token)).status).toBe(200);
    const person = (await logInByMail(tenant, client, email)).body.access_token;
    expect(claimsOf(person).scope, "nobody inherits it").toBe("");
  });

  it("is handed out by whoever holds it under either name, and by nobody else", async () => {
    const words = ["admin:auth", "write:auth", "admin:users", "admin:admin", "admin:write", "accounts:auth"];
    const weak = await holding("write:accounts", "accounts:read", ...words);
    const give = (token: string, scope: string, client_id: string) =>
      send("POST", "/auth/client-grants", token, { client_id, audience: tenant.issuer, scope: [scope] });
    for (const scope of ["accounts:admin", "customer_customers:admin", "customer_customers:read"]) {
      expect(code(await give(weak.token, scope, weak.client.id)), scope).toEqual(refused);
      expect(code(await send("POST", "/auth/roles", weak.token, { scope: [scope] })), scope).toEqual(refused);
      const user = { email: "evil@example.com", scope: [scope] };
      expect(code(await send("POST", "/management/users", weak.token, user)), scope).toEqual(refused);
      const settings = { public_client_grants: { [tenant.issuer]: [scope] } };
      expect(code(await send("PATCH", "/auth/settings", weak.token, settings)), scope).toEqual(refused);
    }
    const strong = await holding("accounts:admin");
    const staff = { name: "staff", user_type: "account_user", first_party: true };
    expect(code(await send("POST", "/auth/clients", weak.token, staff))).toEqual(refused);
    expect(code(await send("POST", `/auth/clients/${strong.client.id}/rotate-secret`, weak.token))).toEqual(refused);
    expect((await send("POST", "/auth/clients", strong.token, staff)).status).toBe(200);
    const bare = async () => (await addClient(latchkey, tenant.account_id)).id;
    for (const scope of ["accounts:auth:users", "accounts:read"])
      expect((await give(strong.token, scope, await bare())).status, scope).toBe(200);
    expect((await give(weak.token, "accounts:write", await bare())).status).toBe(200);
  });

  it("is nothing at another API, and ends with what gave it", async () => {
    const { client, token } = await holding("accounts:read");
    await addGrant(latchkey, tenant.account_id, client, "https://books.example", ["accounts:admin"]);
    const grants = (await send("GET", `/auth/client-grants?client_id=${client.id}`, token)).body;
    expect(code(await send("DELETE", `/auth/clients/${client.id}`, token))).toEqual(refused);
    const own = grants.find(({ audience }: { audience: string }) => audience === tenant.issuer).id;
    const change = (scope: string[]) => send("PATCH", `/auth/client-grants/${own}`, tenant.token, { scope });
    expect((await change(["read:accounts"])).status).toBe(200);
    expect((await send("GET", "/auth/clients", token)).status, "it is the same scope").toBe(200);
    expect((await change(["openid"])).status).toBe(200);
    expect((await send("GET", "/auth/clients", token)).status).toBe(401);
  });

  it("of another service's resource is handed on by who holds that of now, and by nobody else", async () => {
    const merchant = async (...held: string[]) => {
      const { token } = await holding("admin:accounts", ...held);
      const made = await send("POST", "/auth/clients", token, {});
      expect(made.status, made.text).toBe(200);
      return (...scope: string[]) => {
        const audience = `https://api.dintero.com/v1/accounts/${tenant.account_id}`;
        const grant = { client_id: made.body.id, audience, scope, type: "client_credentials" };
        return send("POST", "/auth/client-grants", token, grant);
      };
    };
    const words = ["admin:admin", "checkout:write", "read:checkout", "admin:checkouts", "admin:checkout:/settings"];
    for (const held of [[], words, ["user:checkout", "admin:customers"]]) {
      const give = await merchant(...held);
      for (const scope of ["checkout:admin", "admin:checkout"])
        expect(code(await give(scope)), `${scope} ${held}`).toEqual(refused);
    }
    const none = await merchant("customers:admin", "account:admin", "applicant:admin");
    for (const scope of ["admin:customers", "read:customers", "create:account", "create:applicant"])
      expect(code(await none(scope)), scope).toEqual(refused);
    const give = await merchant("admin:checkout");
    expect(code(await give("checkout:admin", "receipts:read"))).toEqual(refused);
    const given = await give("checkout:admin", "checkout:read");
    expect(given.status, given.text).toBe(200);
    expect(given.body.scope).toEqual(["checkout:admin", "checkout:read"]);
    expect((await (await merchant("checkout:admin"))("read:checkout")).status).toBe(200);
    // What it opens here is what it opened before: nothing.
    const customers = await holding("customers:admin", "checkout:admin", "account:admin");
    expect(code(await send("POST", "/customers/users", customers.token, { email: "a@example.com" }))).toEqual(refused);
    expect(code(await send("POST", "/signup", customers.token, { email: "a@example.com" }))).toEqual(refused);
  });

  it("of an account user counts as far as the client's grant gives it", async () => {
    const me = await logInAccountUser(latchkey, tenant, { scope: ["accounts:read"] });
    expect((await send("GET", "/auth/clients", me.token)).status).toBe(200);
    expect(code(await send("POST", "/auth/roles", me.token, { scope: [] }))).toEqual(refused);
  });
});
