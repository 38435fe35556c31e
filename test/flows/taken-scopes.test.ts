/** What is taken from a grant ends in the tokens that hold it, and in no others. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { changeSettings } from "../../src/directory/accounts/change-settings.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { cacheKey } from "../../src/directory/directory.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  basic,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { logInAccountUser } from "../support/people.ts";
import { answered, pkce, standardClient, VERIFIER } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";

describeOnBothEngines("a scope that is taken from a grant", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const set = async (grant: string, scope: readonly string[]) => {
    const path = `${tenant.base}/auth/client-grants/${grant}`;
    const reply = await call(path, { method: "PATCH", token: tenant.token, json: { scope } });
    expect(reply.status, reply.text).toBe(200);
  };
  const list = async (token: string) => (await call(`${tenant.base}/auth/clients`, { token })).status;
  const active = async (client: TestClient, token: string) => {
    const headers = { authorization: basic(client) };
    return (await call(`${tenant.base}/oauth/introspect`, { method: "POST", headers, form: { token } })).body.active;
  };

  it("ends the client's tokens that hold it, and the ones after it are good", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    const both = ["read:accounts", "read:customers"];
    const grant = await addGrant(latchkey, tenant.account_id, client, tenant.issuer, both);
    const wide = await tokenOf(latchkey, tenant.account_id, client);
    const headers = { authorization: basic(client) };
    const form = { grant_type: "client_credentials", audience: tenant.issuer, scope: "read:accounts" };
    const narrow = (await call(`${tenant.base}/oauth/token`, { method: "POST", headers, form })).body.access_token;
    await set(grant, [...both, "write:customers"]);
    expect([await list(wide), await list(narrow)], "nothing was taken").toEqual([200, 200]);
    await set(grant, ["read:accounts"]);
    expect([await list(wide), await list(narrow)]).toEqual([401, 200]);
    expect([await active(client, wide), await active(client, narrow)]).toEqual([false, true]);
    expect(await list(await tokenOf(latchkey, tenant.account_id, client))).toBe(200);
  });

  it("ends what another client exchanged such a token for", async () => {
    const api = "https://orders.example";
    const [first, second] = [
      await addClient(latchkey, tenant.account_id),
      await addClient(latchkey, tenant.account_id, { grant_types: [EXCHANGE], resource_for: [api] }),
    ];
    const grant = await addGrant(latchkey, tenant.account_id, first, api, ["orders:read", "orders:write"]);
    await addGrant(latchkey, tenant.account_id, second, api, ["orders:read", "orders:write"]);
    const subject = await call(`${tenant.base}/auth/token`, {
      method: "POST",
      headers: { authorization: basic(first) },
      json: { grant_type: "client_credentials", audience: api },
    });
    const subject_token = subject.body.access_token;
    const exchange = async (scope: string) => {
      const form = {
        grant_type: EXCHANGE,
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
        ...{ subject_token, audience: api, scope },
      };
      const headers = { authorization: basic(second) };
      const reply = await call(`${tenant.base}/oauth/token`, { method: "POST", headers, form });
      expect(reply.status, reply.text).toBe(200);
      return reply.body.access_token;
    };
    const [reading, writing] = [await exchange("orders:read"), await exchange("orders:write")];
    await set(grant, ["orders:read"]);
    expect([await active(second, reading), await active(second, writing)]).toEqual([true, false]);
  });

  it("ends tokens of people by what they hold, under a scope that covers it too", async () => {
    const me = await logInAccountUser(latchkey, tenant, { scope: ["read:accounts"] });
    const [grant] = (await call(`${tenant.base}/auth/client-grants?client_id=${me.client.id}`, { token: tenant.token }))
      .body;
    expect(await list(me.token)).toBe(200);
    await set(grant.id, ["openid", "profile", "email", "admin:accounts"]);
    expect(await list(me.token), "still covered").toBe(200);
    await set(grant.id, ["openid"]);
    expect(await list(me.token)).toBe(401);
  });

  it("ends what clients that registered themselves were given of it, and what that was exchanged for", async () => {
    const [api, store] = ["https://tools.example", "https://store.example"];
    const scope = ["tools:list", "tools:call"];
    const given = { open_registration: true, public_client_grants: { [api]: scope, "urn:other": ["x"] } };
    const open = await createTenant(latchkey, { settings: given });
    const reply = await call(`${open.base}/oauth/register`, { method: "POST", json: { redirect_uris: [CALLBACK] } });
    const { client_id } = reply.body;
    const server = await addClient(latchkey, open.account_id, { grant_types: [EXCHANGE], resource_for: [api] });
    await addGrant(latchkey, open.account_id, server, store, scope);
    const standard = standardClient(latchkey, open, server);
    const codeOf = async (more: Readonly<Record<string, string>>) => {
      const { email } = await addUser(latchkey, open.account_id);
      const url = standard.address({ client_id }, { ...pkce, ...more });
      return answered(await openSurfer(latchkey).logIn(url, open, email)).get("code") ?? "";
    };
    const redeem = async (code: string) => {
      const form = { grant_type: "authorization_code", client_id, code, redirect_uri: CALLBACK };
      return (await standard.token({ ...form, code_verifier: VERIFIER }, null)).body;
    };
    const logIn = async (more: Readonly<Record<string, string>>) => (await redeem(await codeOf(more))).access_token;
    const exchange = async (subject_token: string) => {
      const subject_token_type = "urn:ietf:params:oauth:token-type:access_token";
      const form = { grant_type: EXCHANGE, subject_token_type, subject_token, audience: store };
      return (await standard.token(form)).body.access_token;
    };
    const wide = await logIn({ resource: api, scope: "openid tools:list tools:call" });
    const narrow = await logIn({ resource: api, scope: "openid tools:list" });
    const about_me = await logIn({ scope: "openid" });
    const late = await codeOf({ resource: api, scope: "openid tools:list tools:call" });
    const tokens = [wide, await exchange(wide), narrow, await exchange(narrow)];
    const alive = async () => {
      const form = (token: string) => ({ method: "POST", headers: { authorization: basic(server) }, form: { token } });
      const told = await Promise.all(tokens.map((token) => call(`${open.base}/oauth/introspect`, form(token))));
      return told.map(({ body }) => body.active);
    };
    const change = (public_client_grants: Readonly<Record<string, readonly string[]>>) =>
      changeSettings(
        latchkey.server.core.directory,
        open.account_id,
        { public_client_grants },
        { id: "x", context: {} },
      );
    expect(await alive()).toEqual([true, true, true, true]);
    await change({ [api]: [...scope, "tools:more"] });
    expect(await alive(), "nothing was taken").toEqual([true, true, true, true]);
    const { accounts } = latchkey.server.core.directory;
    await change({ [api]: scope });
    const before = await findAccount(latchkey.server.core.directory, open.account_id);
    await change({ [api]: [...scope, "tools:more"] });
    const given_now = await codeOf({ resource: api, scope: "openid tools:list tools:more" });
    accounts.forget(open.account_id);
    await accounts.get(open.account_id, async () => before);
    expect((await redeem(given_now)).scope, "where the settings are remembered as they were").toBe(
      "openid tools:list tools:more",
    );
    await change({ [api]: ["tools:list"] });
    expect(await alive()).toEqual([false, false, true, true]);
    expect((await redeem(late)).scope, "of a code that was out").toBe("openid tools:list");
    await change({});
    expect(await alive()).toEqual([false, false, false, false]);
    expect((await call(`${open.base}/oauth/userinfo`, { token: about_me })).status).toBe(200);
  });

  it("is in no token that a code is redeemed for afterwards, and the rest is", async () => {
    const api = "https://orders.example";
    const client = await addClient(latchkey, tenant.account_id, {
      ...{ first_party: true, require_pkce: false, refresh_without_offline_access: true },
      grant_types: ["authorization_code", "refresh_token"],
    });
    const grant = await addGrant(latchkey, tenant.account_id, client, api, ["orders:read", "orders:write"]);
    const standard = standardClient(latchkey, tenant, client);
    const asked = { scope: "openid orders:read orders:write", resource: api };
    const codes = [await standard.codeFor(client, asked), await standard.codeFor(client, asked)];
    await set(grant, ["orders:read"]);
    const { body } = await standard.redeem(codes[0] ?? "");
    expect([body.scope, claimsOf(body.access_token).scope]).toEqual(["openid orders:read", "openid orders:read"]);
    expect(await active(client, body.access_token)).toBe(true);
    const form = { grant_type: "refresh_token", refresh_token: body.refresh_token };
    expect((await standard.token(form)).body.scope).toBe("openid orders:read");
    await set(grant, ["orders:read", "orders:write"]);
    expect((await standard.redeem(codes[1] ?? "")).body.scope, "given again").toBe("openid orders:read orders:write");
  });

  it("is told from one that was given a moment ago, by whatever process", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    const grant = await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:customers"]);
    const { grants } = latchkey.server.core.directory;
    const key = cacheKey(tenant.account_id, client.id);
    await tokenOf(latchkey, tenant.account_id, client);
    const before = await grants.get(key, async () => []);
    await set(grant, ["read:customers", "read:accounts"]);
    const wide = await tokenOf(latchkey, tenant.account_id, client);
    grants.forget(key);
    await grants.get(key, async () => before);
    expect([await list(wide), await active(client, wide)], "where the grant is remembered as it was").toEqual([
      200,
      true,
    ]);
    await set(grant, ["read:customers"]);
    expect(await list(wide)).toBe(401);
  });
});
