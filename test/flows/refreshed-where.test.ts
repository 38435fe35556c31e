/**
 * Where a login is refreshed: one that began at oauth/token there alone, where its client shows who it is; one of the
 * account API there too, by an access token of its client.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("a login is refreshed", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const patch = async (client: TestClient, json: object) => {
    const asked = { method: "PATCH", token: tenant.token, json };
    const changed = await call(`${tenant.base}/auth/clients/${client.id}`, asked);
    expect(changed.status, changed.text).toBe(200);
  };
  /** As a version before wrote it. */
  const forget = (jwt: string) =>
    latchkey.server.core.storage.write(async ({ db }) => {
      const values = { surface: null, provider: null };
      await db.updateTable("refresh_families").set(values).where("id", "=", claimsOf(jwt).sid).execute();
    });

  async function openClient(settings: object = {}) {
    const grant_types = ["authorization_code", "refresh_token", "client_credentials"] as const;
    const client = await addClient(latchkey, tenant.account_id, {
      ...{ first_party: true, require_pkce: false, grant_types: [...grant_types] },
      ...settings,
    });
    const scope = ["user:customers", "write:accounts:/auth/users", "create:accounts:auth:refresh_token"];
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, scope);
    return { client, bearer: await tokenOf(latchkey, tenant.account_id, client) };
  }
  /** Somebody's login in a browser, at oauth/token. */
  async function logInThere(client: TestClient, scope: string) {
    const standard = standardClient(latchkey, tenant, client);
    const url = standard.address(client, { scope, resource: tenant.issuer });
    const shown = await openSurfer(latchkey).logIn(url, tenant, await standard.someone());
    const { body, text } = await standard.redeem(answered(shown).get("code") ?? "");
    expect(body.refresh_token, text).toBeTruthy();
    const refreshThere = (refresh_token = body.refresh_token) =>
      standard.token({ grant_type: "refresh_token", refresh_token });
    return { ...(body as { access_token: string; refresh_token: string }), refreshThere };
  }
  const refreshHere = (refresh_token: string, bearer: string) =>
    token(tenant, { grant_type: "refresh_token", refresh_token }, bearer);

  it.each([
    ["with an ID token", "openid offline_access user:customers", false],
    ["without one", "offline_access user:customers", false],
    ["with an ID token, in a version before", "openid offline_access user:customers", true],
    ["without one, in a version before", "offline_access user:customers", true],
  ])("at oauth/token alone where it began there, %s", async (_how, scope, before) => {
    const { client, bearer } = await openClient();
    const login = await logInThere(client, scope);
    if (before) await forget(login.access_token);
    for (const by of [login.access_token, bearer]) {
      const refused = await refreshHere(login.refresh_token, by);
      expect(code(refused)).toEqual([403, "unauthorized_client"]);
      expect(refused.text).toContain("oauth/token");
    }
    const next = await login.refreshThere();
    expect(next.status, next.text).toBe(200);
    await patch(client, { grant_types: ["authorization_code"] });
    expect(code(await login.refreshThere(next.body.refresh_token))).toEqual([400, "unauthorized_client"]);
    for (const by of [next.body.access_token, bearer])
      expect(code(await refreshHere(next.body.refresh_token, by))).toEqual([403, "unauthorized_client"]);
  });

  it.each([
    ["by this version", false],
    ["by a version before", true],
  ])("at either where it began at auth/token, %s, with its client's token or the person's", async (_by, before) => {
    const { client, bearer } = await openClient({ token_endpoint_auth_method: "client_secret_basic" });
    const audience = tenant.issuer;
    const verification_code = await mintCode(tenant, { client_id: client.client_id, audience });
    const about = { grant_type: "authorization_code", ident_type: "user_id", ident: tenant.user.id, audience };
    const login = await token(tenant, { ...about, verification_code }, bearer);
    expect(login.body.refresh_token, login.text).toBeTruthy();
    if (before) await forget(login.body.access_token);
    const second = await refreshHere(login.body.refresh_token, login.body.access_token);
    expect(second.status, second.text).toBe(200);
    const third = await refreshHere(second.body.refresh_token, bearer);
    expect(third.status, third.text).toBe(200);
    const form = { grant_type: "refresh_token", refresh_token: third.body.refresh_token };
    const fourth = await standardClient(latchkey, tenant, client).token(form);
    expect(fourth.status, fourth.text).toBe(200);
    expect((await refreshHere(fourth.body.refresh_token, bearer)).status).toBe(200);
  });

  it("at oauth/token alone where it is bound to a key, in a version before that noted nothing else of it", async () => {
    const { client, bearer } = await openClient({ refresh_without_offline_access: true });
    const { access_token, refresh_token } = await logInThere(client, "user:customers");
    await forget(access_token);
    await latchkey.server.core.storage.write(async ({ db }) => {
      const bound = db.updateTable("refresh_families").set({ dpop_jkt: "any" });
      await bound.where("id", "=", claimsOf(access_token).sid).execute();
    });
    expect(code(await refreshHere(refresh_token, bearer))).toEqual([403, "unauthorized_client"]);
  });

  it("at auth/token where a version before began it there, by a grant that gives offline_access itself", async () => {
    const { client, bearer } = await openClient({ grant_types: ["authorization_code", "client_credentials"] });
    const { audience } = tenant;
    await addGrant(latchkey, tenant.account_id, client, audience, ["orders:read", "offline_access"]);
    const verification_code = await mintCode(tenant, { client_id: client.client_id });
    const about = { grant_type: "authorization_code", ident_type: "user_id", ident: tenant.user.id, audience };
    const login = await token(tenant, { ...about, verification_code }, bearer);
    await forget(login.body.access_token);
    const next = await refreshHere(login.body.refresh_token, bearer);
    expect(next.status, next.text).toBe(200);
    expect(claimsOf(next.body.access_token).scope).toBe("orders:read offline_access");
  });
});
