/**
 * The root of a host has two spellings, with and without a slash (RFC 3986 §6.2.3), and programs change one into the other:
 * for who may ask they are one API, and a token carries the one that was asked for.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { EXCHANGE } from "../../src/directory/clients/settings.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  authorize,
  basic,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  receiveCode,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { answered, pkce, standardClient, VERIFIER } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("an API at the root of a host", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const ofItself = async (client: TestClient, audience: string, at = tenant) => {
    const form = { grant_type: "client_credentials", resource: audience };
    const headers = { authorization: basic(client) };
    const { status, body } = await call(`${at.base}/oauth/token`, { method: "POST", headers, form });
    if (status !== 200) return body.error;
    const { aud, scope } = claimsOf(body.access_token);
    return [aud, scope];
  };

  it("is asked for by either spelling, and the token is for the one that was asked for", async () => {
    const [bare, slashed] = [
      await addClient(latchkey, tenant.account_id),
      await addClient(latchkey, tenant.account_id),
    ];
    await addGrant(latchkey, tenant.account_id, bare, "https://one.example", ["orders:read"]);
    await addGrant(latchkey, tenant.account_id, slashed, "https://one.example/", ["orders:read"]);
    for (const client of [bare, slashed])
      for (const audience of ["https://one.example", "https://one.example/"])
        expect(await ofItself(client, audience)).toEqual([audience, "orders:read"]);
  });

  it("is what a client that registered itself may ask people for, however it writes it", async () => {
    const settings = { open_registration: true, public_client_grants: { "https://mcp.example": ["tools:call"] } };
    const open = await createTenant(latchkey, { settings });
    const json = { redirect_uris: [CALLBACK], client_name: "An Agent" };
    const { client_id } = (await call(`${open.base}/oauth/register`, { method: "POST", json })).body;
    const resource = "https://mcp.example/";
    const address = standardClient(latchkey, open, open.client).address({ client_id }, { resource, ...pkce });
    const surfer = openSurfer(latchkey);
    const code = answered(await surfer.logIn(address, open)).get("code") ?? "";
    const form = { grant_type: "authorization_code", client_id, code, redirect_uri: CALLBACK, code_verifier: VERIFIER };
    const { body } = await call(`${open.base}/oauth/token`, { method: "POST", form: { ...form, resource } });
    expect([claimsOf(body.access_token).aud, body.scope]).toEqual([resource, "openid tools:call"]);
    const changed = { method: "PATCH", token: open.token, json: { public_client_grants: {} } };
    expect((await call(`${open.base}/auth/settings`, changed)).status).toBe(200);
    const introspected = { method: "POST", headers: { authorization: basic(open.client) } };
    const api = { method: "PATCH", token: open.token, json: { resource_for: ["https://mcp.example"] } };
    expect((await call(`${open.base}/auth/clients/${open.client.id}`, api)).status).toBe(200);
    const told = await call(`${open.base}/oauth/introspect`, { ...introspected, form: { token: body.access_token } });
    expect(told.body, "of what was taken").toEqual({ active: false });
  });

  it("is one for a code, for the API that asks what a token is worth, and for the list of grants", async () => {
    const code = await receiveCode(tenant, { audience: `${tenant.audience}/` });
    const done = await authorize(tenant, { verification_code: code });
    expect([done.status, done.headers.get("location")]).toEqual([302, expect.stringContaining("id_token=")]);
    const api = await addClient(latchkey, tenant.account_id, { resource_for: [`${tenant.audience}/`] });
    const form = { grant_type: "client_credentials", resource: tenant.audience };
    const asked = { method: "POST", headers: { authorization: basic(tenant.client) }, form };
    const { access_token: token } = (await call(`${tenant.base}/oauth/token`, asked)).body;
    const introspected = { method: "POST", headers: { authorization: basic(api) }, form: { token } };
    expect((await call(`${tenant.base}/oauth/introspect`, introspected)).body).toMatchObject({
      ...{ active: true, aud: tenant.audience },
    });
    const query = { audience: `${tenant.audience}/`, client_id: tenant.client.id };
    const { body } = await call(`${tenant.base}/auth/client-grants`, { token: tenant.token, query });
    expect(body).toMatchObject([{ audience: tenant.audience }]);
  });

  it("is one to those who agreed to it, and for what a token is exchanged for in their name", async () => {
    const third = await addClient(latchkey, tenant.account_id, { grant_types: ["authorization_code", EXCHANGE] });
    const root = "https://agreed.example";
    await addGrant(latchkey, tenant.account_id, third, root, ["orders:read", "orders:write"]);
    const { address, redeem, token } = standardClient(latchkey, tenant, third);
    const surfer = openSurfer(latchkey);
    const known = answered(await surfer.logIn(address(), tenant)).get("code") ?? "";
    const asking = (resource: string, scope: string) => surfer.visit(address(third, { resource, scope }));
    await surfer.act(await asking(`${root}/`, "openid orders:read"), "allow");
    expect(answered(await asking(root, "openid orders:read")).get("code"), "not asked again").toBeTruthy();
    expect((await asking(root, "openid orders:write")).html, "asked for more").toContain('value="allow"');
    const { body: listed } = await call(`${tenant.base}/customers/users/${tenant.user.id}/consents`, {
      token: tenant.token,
    });
    expect(listed.flatMap(({ audience }: { audience?: string }) => audience ?? [])).toEqual([root]);
    const { access_token: subject_token } = (await redeem(known)).body;
    const subject_token_type = "urn:ietf:params:oauth:token-type:access_token";
    const about = { grant_type: EXCHANGE, subject_token, subject_token_type };
    // What the person agreed to there holds nothing of what this token has, and is not what is missing.
    for (const audience of [root, `${root}/`])
      expect((await token({ ...about, audience })).body.error, audience).toBe("invalid_scope");
    expect((await token({ ...about, audience: `${root}//` })).body.error).toBe("invalid_target");
  });

  it("may be named twice in one request, by one spelling and the other", async () => {
    const root = tenant.audience;
    const headers = { authorization: basic(tenant.client), "content-type": "application/x-www-form-urlencoded" };
    const ask = async (body: string) => {
      const asked = { method: "POST", headers, raw: `grant_type=client_credentials&${body}` };
      const { body: reply } = await call(`${tenant.base}/oauth/token`, asked);
      return reply.error ?? claimsOf(reply.access_token).aud;
    };
    for (const [first, second] of [
      ["resource", "resource"],
      ["audience", "audience"],
      ["resource", "audience"],
    ])
      expect(await ask(`${first}=${root}/&${second}=${root}`), `${first} ${second}`).toBe(`${root}/`);
    expect(await ask(`resource=${root}&resource=${root}/&resource=${root}//`)).toBe("invalid_target");
    expect(await ask(`resource=${root}&audience=${root}//`)).toBe("invalid_target");
  });

  it("is no other path, name, scheme or port, and nobody's who holds no grant for it", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    const pairs = [
      ["https://two.example/a", "https://two.example/a/"],
      ["https://two.example/", "https://two.example//"],
      ["https://two.example", "https://two.example?"],
      ["https://two.example", "https://two.example/?"],
      ["https://two.example", "https://two.example:8443/"],
      ["https://two.example", "http://two.example/"],
      ["https://three.example", "https://THREE.example/"],
      ["urn:two", "urn:two/"],
      ["two", "two/"],
    ] as const;
    for (const audience of new Set(pairs.map(([named]) => named)))
      if (audience !== "https://two.example/") await addGrant(latchkey, tenant.account_id, client, audience, ["a:b"]);
    for (const [, other] of pairs) expect(await ofItself(client, other), other).toBe("invalid_target");
    const foreign = await createTenant(latchkey);
    const stranger = await addClient(latchkey, foreign.account_id);
    for (const audience of ["https://two.example", "https://two.example/"])
      expect(await ofItself(stranger, audience, foreign)).toBe("invalid_target");
  });

  const set = (own: Tenant, json: object, token = own.token) =>
    call(`${own.base}/auth/settings`, { method: "PATCH", token, json });
  const bearerOf = async (own: Tenant, client: TestClient, audience: string) => {
    const form = { grant_type: "client_credentials", resource: audience };
    const asked = { method: "POST", headers: { authorization: basic(client) }, form };
    return (await call(`${own.base}/oauth/token`, asked)).body.access_token;
  };
  const lists = async (own: Tenant, token: string) => (await call(`${own.base}/auth/clients`, { token })).status;

  it("is the account API's by either spelling of a name that the account gave it, to the letter otherwise", async () => {
    const name = "https://accounts.example";
    for (const [named, other] of [
      [name, `${name}/`],
      [`${name}/`, name],
    ] as const) {
      const own = await createTenant(latchkey);
      const client = await addClient(latchkey, own.account_id, {
        grant_types: ["client_credentials", EXCHANGE],
        resource_for: ["https://else.example"],
      });
      await addGrant(latchkey, own.account_id, client, other, ["admin:accounts"]);
      await addGrant(latchkey, own.account_id, client, "https://else.example", ["admin:accounts"]);
      const before = await bearerOf(own, client, other);
      expect(await lists(own, before)).toBe(401);
      expect((await set(own, { api_audiences: [named] })).status).toBe(200);
      for (const audience of [named, other, own.issuer]) {
        expect(await ofItself(client, audience, own), audience).toEqual([audience, "admin:accounts"]);
        expect(await lists(own, await bearerOf(own, client, audience)), audience).toBe(200);
        const { body } = await call(`${own.base}/auth/client-grants`, { token: own.token, query: { audience } });
        expect(body.map((grant: { audience: string }) => grant.audience).toSorted()).toEqual([own.issuer, other]);
      }
      for (const audience of ["HTTPS://accounts.example", "https://ACCOUNTS.example/"])
        expect(await ofItself(client, audience, own), audience).toBe("invalid_target");
      const subject_token = await bearerOf(own, client, "https://else.example");
      const subject_token_type = "urn:ietf:params:oauth:token-type:access_token";
      const form = { grant_type: EXCHANGE, subject_token, subject_token_type };
      for (const audience of [named, other]) {
        const asked = { method: "POST", headers: { authorization: basic(client) }, form: { ...form, audience } };
        expect((await call(`${own.base}/oauth/token`, asked)).body, audience).toMatchObject({
          ...{ error: "invalid_target", error_description: expect.stringContaining("no target of an exchange") },
        });
      }
      expect((await set(own, { api_audiences: [other] })).status).toBe(200);
      expect(await lists(own, before), "the same name").toBe(200);
      expect((await set(own, { api_audiences: [] })).status).toBe(200);
      expect(await lists(own, before)).toBe(401);
    }
  });

  it("is made the account API's by nobody who holds less than its grants give, whichever spelling they name", async () => {
    const root = "https://shop.example";
    for (const [named, other] of [
      [root, `${root}/`],
      [`${root}/`, root],
    ] as const) {
      const own = await createTenant(latchkey);
      const bob = await addClient(latchkey, own.account_id);
      await addGrant(latchkey, own.account_id, bob, own.issuer, ["write:accounts"]);
      const weak = await bearerOf(own, bob, own.issuer);
      const refused = async (json: object) => {
        const { status, body } = await set(own, json, weak);
        expect([status, body.error?.code], JSON.stringify(json)).toEqual([403, "insufficient_scope"]);
      };
      await addGrant(latchkey, own.account_id, bob, other, ["admin:accounts", "admin:customers"]);
      const token = await bearerOf(own, bob, named);
      await refused({ api_audiences: [named] });
      await refused({ api_audiences: [other] });
      expect(await lists(own, token)).toBe(401);
      const open = await createTenant(latchkey, {
        settings: { public_client_grants: { [other]: ["admin:customers"] } },
      });
      const weaker = await addClient(latchkey, open.account_id);
      await addGrant(latchkey, open.account_id, weaker, open.issuer, ["write:accounts"]);
      const by_setting = await set(open, { api_audiences: [named] }, await bearerOf(open, weaker, open.issuer));
      expect(by_setting.status).toBe(403);
      const at_once = { api_audiences: [named], public_client_grants: { [other]: ["admin:customers"] } };
      expect((await set(own, at_once, weak)).status).toBe(403);
    }
    const own = await createTenant(latchkey, { settings: { api_audiences: [root] } });
    const bob = await addClient(latchkey, own.account_id);
    await addGrant(latchkey, own.account_id, bob, own.issuer, ["write:accounts"]);
    const weak = await bearerOf(own, bob, own.issuer);
    for (const audience of [root, `${root}/`]) {
      const json = { client_id: bob.id, audience, scope: ["admin:customers"] };
      const granted = await call(`${own.base}/auth/client-grants`, { method: "POST", token: weak, json });
      expect([granted.status, granted.body.error?.code], audience).toEqual([403, "insufficient_scope"]);
      expect((await set(own, { public_client_grants: { [audience]: ["admin:customers"] } }, weak)).status).toBe(403);
    }
  });

  it("is named once in a setting", async () => {
    const own = await createTenant(latchkey);
    const root = "https://once.example";
    for (const [json, path] of [
      [{ api_audiences: [root, "urn:a", `${root}/`] }, "api_audiences.2"],
      [{ public_client_grants: { [`${root}/`]: ["a:b"], [root]: ["a:c"] } }, `public_client_grants.${root}`],
    ] as const) {
      const { status, body } = await set(own, json);
      expect([status, body.error.errors], path).toMatchObject([400, [{ path, code: "taken" }]]);
    }
    const both = { api_audiences: [root, `${root}//`], public_client_grants: { "urn:a": ["a:b"], "urn:a/": ["a:b"] } };
    expect((await set(own, both)).status).toBe(200);
  });
});
