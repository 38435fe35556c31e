/** Clients, grants, users and settings over HTTP: what a team manages with, and what it cannot reach for. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  authorize,
  basic,
  type CallOptions,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  receiveCode,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { callbackAt } from "../support/upstream.ts";

describeOnBothEngines("the directory", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const send = (method: string, path: string, json?: object, token = tenant.token) =>
    call(`${tenant.base}${path}`, { method, token, ...(json ? { json } : {}) });

  const tokenStatus = async (client: TestClient, audience = tenant.issuer) => {
    const headers = { authorization: basic(client) };
    const json = { grant_type: "client_credentials", audience };
    return (await call(`${tenant.base}/auth/token`, { method: "POST", headers, json })).status;
  };

  /** A bearer that holds exactly these scopes at the account API. */
  async function bearerWith(...scope: string[]): Promise<string> {
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, scope);
    return tokenOf(latchkey, tenant.account_id, client);
  }

  it("tells a client that may only ask who exists nothing, unless the account lets it, and not for long", async () => {
    const own = await createTenant(latchkey);
    const asker = await addClient(latchkey, own.account_id);
    await addGrant(latchkey, own.account_id, asker, own.issuer, ["public:customers"]);
    const weak = await tokenOf(latchkey, own.account_id, asker);
    const ask = async (email: string, token = weak) =>
      (await call(`${own.base}/customers/users`, { method: "HEAD", token, query: { email } })).status;
    expect([await ask(own.user.email), await ask("nobody@example.com")]).toEqual([403, 403]);
    const json = { public_user_exists: true };
    await call(`${own.base}/auth/settings`, { method: "PATCH", token: own.token, json });
    expect([await ask(own.user.email), await ask("nobody@example.com")]).toEqual([200, 404]);
    const asked = await Promise.all(Array.from({ length: 70 }, () => ask(own.user.email)));
    expect(asked.filter((status) => status === 200)).toHaveLength(58);
    expect(asked.filter((status) => status === 429)).toHaveLength(12);
    expect(await ask(own.user.email, own.token), "who may read users").toBe(200);
  });

  it("lists account users page by page, and forgets none of more than a thousand", async () => {
    const own = await createTenant(latchkey);
    const manage = (method: string, path: string, json?: object, token = own.token) =>
      call(`${own.base}${path}`, { method, token, ...(json ? { json } : {}) });
    const jwks = { name: "IdP", uri: "https://idp.example/jwks", issuer: "https://idp.example" };
    await manage("PATCH", "/auth/settings", { jwks });
    const external = { email: "z@corp.example", authentication_type: "external", scope: ["read:customers"] };
    const last = (await manage("POST", "/management/users", external)).body;
    const { storage } = latchkey.server.core;
    const find = storage.read.selectFrom("users").selectAll().where("account_id", "=", own.account_id);
    const row = await find.where("id", "=", last.id).executeTakeFirstOrThrow();
    const others = Array.from({ length: 1_001 }, (_, n) => {
      const email = `${n}@corp.example`;
      return { ...row, id: `0-${String(n).padStart(4, "0")}`, email, email_canonical: email, profile: "{}" };
    });
    await storage.write(async (tx) => {
      for (let n = 0; n < others.length; n += 100) {
        await tx.db
          .insertInto("users")
          .values(others.slice(n, n + 100))
          .execute();
      }
    });
    const ids: string[] = [];
    for (let page = 0; page < 3; page++) {
      const after = ids.length > 0 ? `&starting_after=${ids.at(-1)}` : "";
      const { body } = await manage("GET", `/management/users?limit=500${after}`);
      ids.push(...body.map(({ id }: { id: string }) => id));
    }
    expect(ids).toEqual([...others.map(({ id }) => id), last.id]);
    expect((await manage("GET", "/management/users")).body).toHaveLength(1_002);
    const few = await addClient(latchkey, own.account_id);
    await addGrant(latchkey, own.account_id, few, own.issuer, ["write:accounts"]);
    const weaker = await tokenOf(latchkey, own.account_id, few);
    const taken = await manage("PATCH", "/auth/settings", { jwks: { ...jwks, name: "Mine" } }, weaker);
    expect([taken.status, taken.body.error?.code], "who cannot do what the last of them can").toEqual([
      403,
      "insufficient_scope",
    ]);
  });

  it("creates a client whose secret is shown once, and takes either of its names", async () => {
    const callbacks = ["https://a.example/cb"];
    const created = await send("POST", "/auth/clients", { name: "Till", client_id: "till-1", callbacks });
    expect(created.status).toBe(200);
    const { id, client_id, client_secret } = created.body;
    expect(client_id).toBe("till-1");
    expect(client_secret).toMatch(/^[\w-]{43}$/);
    const shown = await send("GET", `/auth/clients/${id}`);
    expect(shown.body).toMatchObject({ id, client_id: "till-1", name: "Till", callbacks });
    expect(shown.text).not.toContain('client_secret"');
    expect((await send("GET", "/auth/clients")).text).not.toContain('client_secret"');
    await addGrant(latchkey, tenant.account_id, { client_id }, tenant.issuer, ["read:accounts"]);
    expect(await tokenStatus({ id, client_id, client_secret })).toBe(200);
    expect(await tokenStatus({ id, client_id: id, client_secret })).toBe(200);
    expect((await send("POST", "/auth/clients", { client_id: "till-1" })).body.error.errors[0].path).toBe("client_id");
    await send("DELETE", `/auth/clients/${id}`);
    expect((await send("POST", "/auth/clients", { client_id: "till-1" })).status).toBe(400);
  });

  it("refuses callbacks that a redirect must never go to", async () => {
    for (const callback of [
      "http://shop.example/cb",
      "https://shop.example/cb#x",
      "https://user@shop.example/cb",
      "https://*.shop.example/cb",
      "https://shop.example/cb?code=1",
      "https://shop.example/cb?state=1",
      "javascript:alert(1)",
      "myapp:/cb",
      "/cb",
      "https://shop.example/c b",
      "https://shop.example\\@evil.example/",
      "data:text/html,x",
      "",
    ]) {
      const reply = await send("POST", "/auth/clients", { callbacks: ["https://ok.example", callback] });
      expect([reply.status, reply.body.error.errors[0].path], callback).toEqual([400, "callbacks.1"]);
    }
    const callbacks = ["http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost:3000/cb", "com.example.app:/cb"];
    expect((await send("POST", "/auth/clients", { callbacks })).status).toBe(200);
  });

  it("lets only the port of a loopback address vary", async () => {
    const own = await createTenant(latchkey, {
      client: { callbacks: ["http://127.0.0.1/cb", "https://shop.example/cb"] },
    });
    const verification_code = await mintCode(own);
    const tried = async (redirect_uri: string) => (await authorize(own, { verification_code, redirect_uri })).status;
    for (const wrong of [
      "http://127.0.0.1:49152/cb/",
      "http://127.0.0.1:49152/cb?x=1",
      "http://127.0.0.2:49152/cb",
      "http://localhost:49152/cb",
      "http://127.0.0.1:99999/cb",
      "http://127.0.0.1:80@evil.example/cb",
      "https://127.0.0.1/cb",
      "https://shop.example:443/cb",
      "https://shop.example/cb/",
      "https://SHOP.example/cb",
      "https://shop.example/CB",
      "https://shop.example/cb/../cb",
      "https://shop.example/cb%2f",
      "https://shop.example.evil.example/cb",
    ])
      expect(await tried(wrong), wrong).toBe(400);
    expect(await tried("http://127.0.0.1:49152/cb")).toBe(302);
  });

  it("changes what a PATCH names, and nothing else", async () => {
    const client = await addClient(latchkey, tenant.account_id, { signup: true });
    const before = (await send("GET", `/auth/clients/${client.id}`)).body;
    const after = (await send("PATCH", `/auth/clients/${client.id}`, { code_format: "numeric" })).body;
    expect({ ...after, updated_at: "" }).toEqual({ ...before, code_format: "numeric", updated_at: "" });
    for (const wrong of [{ code_format: "emoji" }, { code_formats: "numeric" }, { client_id: "x" }, {}]) {
      const reply = await send("PATCH", `/auth/clients/${client.id}`, wrong);
      expect(reply.status, JSON.stringify(wrong)).toBe(400);
    }
  });

  it("lists grants by client and audience, and never shows an upstream secret", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    const oidc = { authority: "https://login.example", client_id: "up", client_secret: "upstream-secret-1" };
    const grant = {
      client_id: client.id,
      audience: "https://a.example",
      scope: ["a:read"],
      type: "authorization_code",
    };
    const created = await send("POST", "/auth/client-grants", { ...grant, oidc });
    expect(created.status).toBe(200);
    const redirect_uri = callbackAt(tenant, "https://login.example");
    expect(created.body.oidc).toEqual({ authority: "https://login.example", client_id: "up", redirect_uri });
    await send("POST", "/auth/client-grants", { ...grant, audience: "https://b.example" });
    const list = async (query: string) => (await send("GET", `/auth/client-grants?${query}`)).body;
    expect(await list(`client_id=${client.id}`)).toHaveLength(2);
    expect(await list(`client_id=${client.client_id}&audience=https://b.example`)).toHaveLength(1);
    expect(await list(`client_id=${client.id}&audience=https://c.example`)).toEqual([]);
    expect(JSON.stringify(await list(`client_id=${client.id}`))).not.toContain("upstream-secret-1");
    expect((await list(`client_id=${client.id}`))[0].oidc.redirect_uri).toBe(redirect_uri);
    expect((await send("POST", "/auth/client-grants", { ...grant, type: "any", oidc })).status).toBe(400);
    const { id } = created.body;
    expect((await send("PATCH", `/auth/client-grants/${id}`, { scope: ["a:write", "a:write"] })).body.scope).toEqual([
      "a:write",
    ]);
    expect((await send("DELETE", `/auth/client-grants/${id}`)).body.deleted_at).toMatch(/^20/);
    expect((await send("DELETE", `/auth/client-grants/${id}`)).status).toBe(404);
  });

  it("shows no grant of a client that is gone, and changes none", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    const id = await addGrant(latchkey, tenant.account_id, client, "https://gone.example", ["a:read"]);
    const list = async (query: string) => (await send("GET", `/auth/client-grants?${query}`)).body;
    expect(await list("audience=https://gone.example")).toHaveLength(1);
    expect((await send("DELETE", `/auth/clients/${client.id}`)).status).toBe(200);
    expect(await list("audience=https://gone.example")).toEqual([]);
    expect(await list(`client_id=${client.id}`)).toEqual([]);
    expect((await send("PATCH", `/auth/client-grants/${id}`, { scope: ["a:write"] })).status).toBe(404);
    expect((await send("DELETE", `/auth/client-grants/${id}`)).status).toBe(404);
  });

  it("finds account users and roles whatever the case, in any alphabet", async () => {
    await send("POST", "/management/users", { email: "ase@example.com", name: "Åse ØDEGÅRD" });
    await send("POST", "/management/users", { email: "ilya@example.com", name: "Илья 100%" });
    await send("POST", "/auth/roles", { name: "Økonomi", description: "Für Äpfel", scope: [] });
    const found = async (path: string, search: string) =>
      (await call(`${tenant.base}${path}`, { token: tenant.token, query: { search } })).body.map(
        ({ name }: { name: string }) => name,
      );
    for (const search of ["Ødegård", "ødegård", "ÅSE Ø", "ase@", "åse øDEG"])
      expect(await found("/management/users", search), search).toEqual(["Åse ØDEGÅRD"]);
    for (const search of ["илья", "ИЛЬЯ", "0%"])
      expect(await found("/management/users", search), search).toEqual(["Илья 100%"]);
    for (const search of ["Økonomi", "økonomi", "ÄPFEL", "für"])
      expect(await found("/auth/roles", search), search).toEqual(["Økonomi"]);
    expect(await found("/management/users", "Odegard")).toEqual([]);
  });

  it("creates users, finds them by any name, and tells whether they exist", async () => {
    const email = "Grace.Hopper@Example.com";
    const created = await send("POST", "/customers/users", { email, phone_number: "400 00 900", customer_id: "c-1" });
    expect(created.body).toMatchObject({ email, phone_number: "+4740000900", customer_id: "c-1", type: "customer" });
    expect((await send("GET", "/customers/users/c-1")).body.id).toBe(created.body.id);
    expect((await send("POST", "/customers/users", { email: "grace.hopper@example.COM" })).status).toBe(400);
    expect((await send("POST", "/customers/users", { email, type: "company" })).status).toBe(200);
    const exists = async (query: string) => (await send("HEAD", `/customers/users?${query}`)).status;
    expect(await exists("email=grace.hopper@example.com")).toBe(200);
    expect(await exists("phone_number=%2B4740000900")).toBe(200);
    expect(await exists("email=nobody@example.com")).toBe(404);
    expect(await exists("email=nobody")).toBe(400);
    for (const wrong of [{}, { email: "no-address" }, { phone_number: "12" }, { email, type: "account_user" }])
      expect((await send("POST", "/customers/users", wrong)).status, JSON.stringify(wrong)).toBe(400);
    await send("DELETE", `/customers/users/${created.body.id}`);
    expect((await send("GET", "/customers/users/c-1")).status).toBe(404);
  });

  it("does not let whoever may only create users prove their addresses", async () => {
    const token = await bearerWith("create:customers:/users");
    const email = "unproven@example.com";
    expect((await send("POST", "/customers/users", { email }, token)).status).toBe(200);
    await expect(receiveCode(tenant, { email })).rejects.toThrow("no message");
  });

  it("reads and changes settings within their bounds", async () => {
    const settings = (await send("GET", "/auth/settings")).body;
    expect(settings).toMatchObject({ signing_alg: "ES256", access_token_lifetime: 14_400, code_lifetime: 600 });
    expect((await send("PATCH", "/auth/settings", { code_lifetime: 120 })).body).toEqual({
      ...settings,
      code_lifetime: 120,
    });
    for (const wrong of [
      { code_lifetime: 59 },
      { code_lifetime: 601 },
      { code_lifetime: "120" },
      { signing_alg: "none" },
      { country: "UK" },
      { sms_countries: ["GB", "XX"] },
    ])
      expect((await send("PATCH", "/auth/settings", wrong)).status, JSON.stringify(wrong)).toBe(400);
    expect((await send("GET", "/auth/settings")).body.code_lifetime).toBe(120);
  });

  it("lets nobody hand on, or take over, what they do not hold", async () => {
    const strong = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, strong, tenant.issuer, ["admin:accounts", "admin:customers"]);
    const [grant] = (await send("GET", `/auth/client-grants?client_id=${strong.id}`)).body;
    const weak = await addClient(latchkey, tenant.account_id);
    const attempts: [string, string, string, object?][] = [
      ["write:accounts", "POST", `/auth/clients/${strong.id}/rotate-secret`],
      ["write:accounts", "PATCH", `/auth/clients/${strong.id}`, { callbacks: ["https://evil.example"] }],
      ["write:accounts", "PATCH", `/auth/clients/${strong.id}`, { login_uri: "https://evil.example/x" }],
      ["write:accounts", "DELETE", `/auth/clients/${strong.id}`],
      ["write:accounts", "PATCH", `/auth/client-grants/${grant.id}`, { scope: [] }],
      ["write:accounts", "DELETE", `/auth/client-grants/${grant.id}`],
      [
        "write:accounts",
        "POST",
        "/auth/client-grants",
        { client_id: weak.id, audience: tenant.issuer, scope: ["admin:accounts"] },
      ],
      [
        "write:accounts",
        "POST",
        "/auth/client-grants",
        { client_id: weak.id, audience: tenant.issuer, scope: ["write:customers"] },
      ],
      [
        "write:accounts",
        "POST",
        "/auth/client-grants",
        { client_id: weak.id, audience: "https://x.example", scope: ["x:all"] },
      ],
      ["admin:accounts", "POST", `/auth/clients/${strong.id}/rotate-secret`],
      [
        "admin:accounts",
        "POST",
        "/auth/client-grants",
        {
          client_id: weak.id,
          audience: `https://api.dintero.com/v1/accounts/${tenant.account_id}`,
          scope: ["admin:customers"],
        },
      ],
      ["read:accounts", "POST", "/auth/clients", { name: "x" }],
      ["read:accounts", "PATCH", "/auth/settings", { locale: "nb" }],
    ];
    for (const [held, method, path, json] of attempts) {
      const reply = await send(method, path, json, await bearerWith(held));
      expect([reply.status, reply.body.error.code], `${held}: ${method} ${path}`).toEqual([403, "insufficient_scope"]);
    }
    const own = { client_id: weak.id, audience: tenant.issuer, scope: ["write:accounts:/auth/passwordless"] };
    expect((await send("POST", "/auth/client-grants", own, await bearerWith("write:accounts"))).status).toBe(200);
  });

  it("takes no body at all where nothing has to be said", async () => {
    const own = await createTenant(latchkey);
    const headers = { authorization: basic(own.client) };
    const type = (name: string) => ({ headers: { ...headers, "content-type": name } });
    const device = (options: CallOptions) =>
      call(`${own.base}/oauth/device_authorization`, { method: "POST", ...options });
    await call(`${own.base}/auth/clients/${own.client.id}`, {
      ...{ method: "PATCH", token: own.token },
      json: { grant_types: ["urn:ietf:params:oauth:grant-type:device_code"] },
    });
    for (const options of [{ headers }, type("application/x-www-form-urlencoded"), type("application/json")]) {
      const begun = await device(options);
      expect([begun.status, begun.body.user_code], begun.text).toEqual([200, expect.any(String)]);
    }
    const asked = await call(`${own.base}/oauth/logout`, { method: "POST" });
    expect([asked.status, asked.headers.get("location")]).toEqual([303, expect.stringContaining("/logout")]);
    const changed = await call(`${own.base}/auth/settings`, { method: "PATCH", token: own.token });
    expect([changed.status, changed.body.error.errors[0].path], changed.text).toEqual([400, "body"]);
  });

  it("makes a client of no body at all, and says of a wrong one no more than what is wrong with it", async () => {
    const create = (options: CallOptions) =>
      call(`${tenant.base}/auth/clients`, { method: "POST", token: tenant.token, ...options });
    const empty = { headers: { "content-type": "application/json" }, raw: "" };
    for (const options of [{}, empty, { json: {} }]) {
      const made = await create(options);
      expect(made.status, made.text).toBe(200);
      expect(made.body.client_secret).toBeTruthy();
    }
    const paths = async (json: unknown) =>
      (await create({ json })).body.error.errors.map(({ path, code }: { path: string; code: string }) => [path, code]);
    expect(await paths({ client_id: "a b" })).toEqual([["client_id", "pattern"]]);
    expect(await paths({ login_uri: 5 })).toEqual([["login_uri", "type"]]);
    expect((await create({ json: { login_uri: 5 } })).text).toContain("must be a string");
    expect(await paths([])).toEqual([["body", "type"]]);
  });

  it("ends a deleted client's tokens, secrets and codes at once", async () => {
    const own = await createTenant(latchkey);
    const admin = await addClient(latchkey, own.account_id);
    await addGrant(latchkey, own.account_id, admin, own.issuer, ["admin:accounts", "admin:customers"]);
    const token = await tokenOf(latchkey, own.account_id, admin);
    const code = await mintCode(own);
    expect((await call(`${own.base}/auth/clients/${own.client.id}`, { method: "DELETE", token })).status).toBe(200);
    expect((await call(`${own.base}/auth/clients`, { token: own.token })).status).toBe(401);
    await expect(tokenOf(latchkey, own.account_id, own.client)).rejects.toThrow("invalid_client");
    const reply = await authorize({ ...own, token }, { verification_code: code });
    expect([reply.status, reply.body.error.code]).toEqual([403, "unauthorized_client"]);
  });
});
