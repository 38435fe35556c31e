/** A refresh token is its holder's: the client whose bearer got it, also where the login is another client's. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  basic,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, token } from "../support/people.ts";
import { code } from "../support/replies.ts";

const BACKEND = ["write:accounts:/auth/users", "write:accounts:/auth/mfa", "create:accounts:auth:refresh_token"];

describeOnBothEngines("a refresh token that one client got for another", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  /** Logs people in for the shop. */
  let backend: TestClient & { readonly bearer: string };
  let shop: TestClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    backend = await addBackend();
    shop = await addShop("client_secret_basic");
  });
  afterAll(() => latchkey.close());

  async function addBackend() {
    const grant_types = ["authorization_code", "refresh_token", "client_credentials"] as const;
    const client = await addClient(latchkey, tenant.account_id, { grant_types: [...grant_types] });
    const grant = await addGrant(latchkey, tenant.account_id, client, tenant.issuer, BACKEND);
    return { ...client, grant, bearer: await tokenOf(latchkey, tenant.account_id, client) };
  }
  async function addShop(token_endpoint_auth_method: "none" | "client_secret_basic") {
    const grant_types = ["authorization_code", "refresh_token", "client_credentials"] as const;
    const settings = { first_party: true, token_endpoint_auth_method, grant_types: [...grant_types] };
    const client = await addClient(latchkey, tenant.account_id, settings);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["user:customers"]);
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    return client;
  }
  const codeFor = (own: TestClient, user_id = tenant.user.id) =>
    mintCode(tenant, { client_id: own.client_id, user_id });
  const redeem = async (own: TestClient, bearer: string, ident = tenant.user.id) => {
    const about = { grant_type: "authorization_code", ident_type: "user_id", ident, audience: tenant.audience };
    return token(tenant, { ...about, verification_code: await codeFor(own, ident) }, bearer);
  };
  const logIn = async (own = shop, by = backend) => {
    const { body, text } = await redeem(own, by.bearer);
    expect(body.refresh_token, text).toBeTruthy();
    return body as { access_token: string; refresh_token: string };
  };
  const refresh = (refresh_token: string, bearer = backend.bearer) =>
    token(tenant, { grant_type: "refresh_token", refresh_token }, bearer);
  const standard = (path: string, form: Record<string, string>, own?: TestClient) =>
    call(`${tenant.base}/oauth/${path}`, {
      method: "POST",
      form,
      ...(own ? { headers: { authorization: basic(own) } } : {}),
    });

  it("goes on for the one that got it, at both surfaces, with tokens of the other", async () => {
    const first = await logIn();
    const second = await refresh(first.refresh_token);
    expect(second.status, second.text).toBe(200);
    const { refresh_token } = second.body;
    const third = await standard("token", { grant_type: "refresh_token", refresh_token }, backend);
    expect(third.status, third.text).toBe(200);
    const fourth = await refresh(third.body.refresh_token);
    for (const { access_token } of [first, second.body, third.body, fourth.body])
      expect(claimsOf(access_token)).toMatchObject({
        ...{ client_id: shop.client_id, sub: tenant.user.id, scope: "orders:read" },
        sid: claimsOf(first.access_token).sid,
      });
  });

  it("is answered to its holder once more when the answer was lost", async () => {
    const { refresh_token } = await logIn();
    const answers = await Promise.all([refresh(refresh_token), refresh(refresh_token)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  });

  it("is the holder's after a second factor too", async () => {
    const person = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const half = await redeem(shop, backend.bearer, person.id);
    const { mfa_token } = half.body;
    const json = { challenge_type: "oob", mfa_token };
    const challenged = await call(`${tenant.base}/auth/mfa/challenge`, { method: "POST", token: backend.bearer, json });
    const { oob_code } = challenged.body;
    const binding_code = (await inbox(tenant, person.phone_number))[0]?.verification_code;
    const done = await token(tenant, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code }, backend.bearer);
    const next = await refresh(done.body.refresh_token);
    expect(next.status, next.text).toBe(200);
    expect(claimsOf(next.body.access_token)).toMatchObject({ client_id: shop.client_id, acr: "urn:latchkey:acr:2fa" });
  });

  it.each(["none", "client_secret_basic"] as const)(
    "is nothing to that other client (%s), whose use of it ends the login",
    async (method) => {
      const other = await addShop(method);
      const { refresh_token } = await logIn(other);
      const form = { grant_type: "refresh_token", refresh_token };
      const used = await standard(
        "token",
        method === "none" ? { ...form, client_id: other.client_id } : form,
        method === "none" ? undefined : other,
      );
      expect(code(used)).toEqual([400, "invalid_grant"]);
      expect(code(await refresh(refresh_token))).toEqual([400, "invalid_grant"]);
    },
  );

  it("is nothing to the person's own token, which is that other client's", async () => {
    const { access_token, refresh_token } = await logIn();
    expect((await refresh(refresh_token, access_token)).status).toBeGreaterThanOrEqual(400);
  });

  it("is looked at and revoked by its holder", async () => {
    const { refresh_token } = await logIn();
    const form = { token: refresh_token };
    expect((await standard("introspect", form, shop)).body).toEqual({ active: false });
    const shown = await standard("introspect", form, backend);
    expect(shown.body).toMatchObject({ active: true, client_id: shop.client_id, sub: tenant.user.id });
    const own = await tokenOf(latchkey, tenant.account_id, shop);
    const revoke = (bearer: string) =>
      call(`${tenant.base}/auth/revoke`, { method: "POST", token: bearer, json: { token: refresh_token } });
    expect((await revoke(own)).status).toBe(403);
    expect(code(await standard("revoke", form, shop))).toEqual([400, "invalid_grant"]);
    const next = (await refresh(refresh_token)).body;
    expect(next.refresh_token, "nothing has ended it").toBeTruthy();
    expect((await standard("revoke", { token: next.refresh_token }, backend)).status).toBe(200);
    expect(code(await refresh(next.refresh_token))).toEqual([400, "invalid_grant"]);
  });

  it.each(["auth/token", "oauth/token"])("is as good as it was once %s has refused it for that client", async (at) => {
    const own = await addShop("client_secret_basic");
    const { access_token, refresh_token } = await logIn(own);
    const bind = async (dpop_bound_access_tokens: boolean) => {
      const json = { dpop_bound_access_tokens };
      const changed = { method: "PATCH", token: tenant.token, json };
      expect((await call(`${tenant.base}/auth/clients/${own.id}`, changed)).status).toBe(200);
    };
    const form = { grant_type: "refresh_token", refresh_token };
    const ask = () => (at === "auth/token" ? refresh(refresh_token) : standard("token", form, backend));
    await bind(true);
    expect(code(await ask())[1]).toBe("unauthorized_client");
    const { storage } = latchkey.server.core;
    const rotated_at = new Date(storage.now() - 20_000).toISOString();
    const { sid } = claimsOf(access_token);
    await storage.write(async ({ db }) => {
      await db.updateTable("refresh_families").set({ rotated_at }).where("id", "=", sid).execute();
    });
    expect(code(await ask())[1]).toBe("unauthorized_client");
    await bind(false);
    expect((await ask()).status).toBe(200);
  });

  it.each(["the holder", "the other client"])("ends with %s, at once", async (who) => {
    const [by, own] = [await addBackend(), await addShop("client_secret_basic")];
    const { refresh_token } = await logIn(own, by);
    const gone = who === "the holder" ? by : own;
    const { storage } = latchkey.server.core;
    const deleted_at = new Date(storage.now() - 1_000).toISOString();
    // As another process deletes it: this one may remember the client still.
    await storage.write(async ({ db }) => {
      await db.updateTable("clients").set({ deleted_at }).where("id", "=", gone.id).execute();
    });
    const refused = await refresh(refresh_token, by.bearer);
    expect(["400 invalid_grant", "403 unauthorized_client"]).toContain(code(refused).join(" "));
  });

  it("of a login before holders were known is the client's", async () => {
    const { refresh_token } = (await redeem(tenant.client, tenant.token)).body;
    const { storage } = latchkey.server.core;
    const families = storage.read.selectFrom("refresh_families").selectAll().where("client_id", "=", tenant.client.id);
    expect(await families.execute()).toMatchObject([{ holder_id: null }]);
    expect((await refresh(refresh_token, tenant.token)).status).toBe(200);
  });

  it.each([
    ["auth/token", "to act for others", ["create:accounts:auth:refresh_token"]],
    ["auth/token", "to what lasts", ["write:accounts:/auth/users"]],
    ["oauth/token", "to act for others", ["create:accounts:auth:refresh_token"]],
    ["oauth/token", "to what lasts", ["write:accounts:/auth/users"]],
    ["oauth/token", "to both", ["read:customers"]],
  ])("is refused at %s without the holder's right %s, and spent by nothing", async (at, _what, scope) => {
    const by = await addBackend();
    const { refresh_token } = await logIn(shop, by);
    const set = async (scope: readonly string[]) => {
      const changed = { method: "PATCH", token: tenant.token, json: { scope } };
      expect((await call(`${tenant.base}/auth/client-grants/${by.grant}`, changed)).status).toBe(200);
      return tokenOf(latchkey, tenant.account_id, by);
    };
    const ask = async (bearer: string, token = refresh_token) =>
      at === "auth/token"
        ? refresh(token, bearer)
        : standard("token", { grant_type: "refresh_token", refresh_token: token }, by);
    const next = (await ask(by.bearer)).body.refresh_token;
    const without = await set(scope);
    const refused = at === "auth/token" ? [403, "unauthorized_client"] : [400, "unauthorized_client"];
    expect(code(await ask(without, next))).toEqual(refused);
    expect(code(await ask(without)), "an answer that was lost").toEqual(refused);
    const again = await ask(await set(BACKEND), next);
    expect(again.status, again.text).toBe(200);
  });

  it("is refused to a client whose own login it is once neither its grant nor its settings let logins last", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    const grant = await addGrant(latchkey, tenant.account_id, client, tenant.issuer, BACKEND);
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    const bearer = await tokenOf(latchkey, tenant.account_id, client);
    const { access_token, refresh_token } = (await redeem(client, bearer)).body;
    const patch = async (path: string, json: object) =>
      expect((await call(`${tenant.base}${path}`, { method: "PATCH", token: tenant.token, json })).status).toBe(200);
    await patch(`/auth/client-grants/${grant}`, { scope: ["write:accounts:/auth/users"] });
    const without = await tokenOf(latchkey, tenant.account_id, client);
    expect(code(await refresh(refresh_token, without))).toEqual([403, "unauthorized_client"]);
    expect(claimsOf(access_token).scope, "of a grant that lost nothing").toBe("orders:read");
    await patch(`/auth/clients/${client.id}`, { grant_types: ["client_credentials", "refresh_token"] });
    expect((await refresh(refresh_token, without)).status, "nothing was spent").toBe(200);
  });
});
