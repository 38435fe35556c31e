/** A grant may hold 200 scopes, and what is issued under it can be used. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { addGrant, basic, call } from "../support/latchkey.ts";
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
    expect(code.length).toBeGreaterThan(8_192);
    const redeemed = await scene.redeem(code);
    expect(redeemed.status, redeemed.text).toBe(200);
    const headers = { authorization: basic(own) };
    const form = { token: redeemed.body.access_token };
    const told = await call(`${tenant.base}/oauth/introspect`, { method: "POST", headers, form });
    expect([told.body.active, told.body.scope.split(" ").length]).toEqual([true, 201]);
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
