/** A grant may hold 200 scopes, and what is issued under it can be used. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addGrant, basic, call } from "../support/latchkey.ts";
import { openScene, type Scene } from "../support/standard-client.ts";

describeOnBothEngines("a token of many scopes", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  it("is known again, and so is the code that it comes of", async () => {
    const { latchkey, tenant, own } = scene;
    const scope = Array.from({ length: 200 }, (_, n) => `write:warehouses:/some/shelf/${1_000 + n}`);
    const resource = "https://stock.example";
    await addGrant(latchkey, tenant.account_id, own, resource, scope);
    const code = await scene.codeFor(own, { resource });
    expect(code.length, "so that its address is one that web servers take").toBeLessThan(4_096);
    const redeemed = await scene.redeem(code);
    expect(redeemed.status, redeemed.text).toBe(200);
    const headers = { authorization: basic(own) };
    const form = { token: redeemed.body.access_token };
    const told = await call(`${tenant.base}/oauth/introspect`, { method: "POST", headers, form });
    expect([told.body.active, told.body.scope.split(" ").length]).toEqual([true, 201]);
  });

  it("is asked for by the names of all, by browser, device and refresh", async () => {
    const { latchkey, tenant } = scene;
    const device_code = "urn:ietf:params:oauth:grant-type:device_code";
    const grant_types = ["authorization_code", "refresh_token", device_code] as const;
    const own = await addClient(latchkey, tenant.account_id, { first_party: true, grant_types: [...grant_types] });
    const shelves = Array.from({ length: 200 }, (_, n) => `write:warehouses:/some/shelf/${1_000 + n}`);
    const resource = "https://stock.example";
    await addGrant(latchkey, tenant.account_id, own, resource, shelves);
    const scope = ["openid", "offline_access", ...shelves].join(" ");
    const redeemed = (await scene.redeem(await scene.codeFor(own, { resource, scope }), own)).body;
    expect(redeemed.scope.split(" ").toSorted()).toEqual(scope.split(" ").toSorted());
    const refresh = { grant_type: "refresh_token", refresh_token: redeemed.refresh_token, scope: redeemed.scope };
    const refreshed = await scene.token(refresh, own);
    expect([refreshed.status, refreshed.body.scope], refreshed.text).toEqual([200, redeemed.scope]);
    const asking = { method: "POST", headers: { authorization: basic(own) }, form: { resource, scope } };
    expect((await call(`${tenant.base}/oauth/device_authorization`, asking)).status).toBe(200);
  });

  it("is over like any that nobody knows, where another server made it", async () => {
    const { tenant, own } = scene;
    const token = `eyJ${"x".repeat(3_000)}`;
    const revoke = (path: string, options: object) =>
      call(`${tenant.base}/${path}/revoke`, { method: "POST", ...options });
    for (const revoked of [
      await revoke("auth", { token: tenant.token, json: { token } }),
      await revoke("oauth", { headers: { authorization: basic(own) }, form: { token } }),
    ])
      expect([revoked.status, revoked.body], revoked.text).toEqual([200, {}]);
  });

  it("is a bearer like every other", async () => {
    const { latchkey, tenant, own } = scene;
    const scope = Array.from({ length: 200 }, (_, n) => `read:accounts:/${"x".repeat(60)}/${n}`);
    await addGrant(latchkey, tenant.account_id, own, tenant.issuer, ["admin:accounts", ...scope.slice(1)]);
    const form = { grant_type: "client_credentials", audience: tenant.issuer };
    const { access_token } = (await scene.token(form)).body;
    expect((await call(`${tenant.base}/auth/clients`, { token: access_token })).status).toBe(200);
  });
});
