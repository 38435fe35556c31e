/** A further name of the account API gives nobody a power there that they came by while it was another API's name. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  basic,
  type CallOptions,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
} from "../support/latchkey.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const NAME = "https://api.custom.example/v1";

describeOnBothEngines("a name that becomes one of the account API", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  it.each(["customer", "account_user"] as const)("makes no administrator of a %s who logged in by it", async (type) => {
    const tenant = await createTenant(latchkey);
    const own = await addClient(latchkey, tenant.account_id, { first_party: true, user_type: type });
    await addGrant(latchkey, tenant.account_id, own, NAME, ["admin:accounts", "admin:customers", "user:customers"]);
    const standard = standardClient(latchkey, tenant, own);
    const person = await addUser(latchkey, tenant.account_id, { type });
    const surfer = openSurfer(latchkey);
    const asked = standard.address(own, { resource: NAME });
    const first = answered(await surfer.logIn(asked, tenant, person.email)).get("code") ?? "";
    const codeNow = async () => answered(await surfer.visit(asked)).get("code") ?? "";
    const before = (await standard.redeem(first)).body;
    expect(before.scope, "at another API").toContain("admin:accounts");
    const late = await codeNow();
    const changed = { method: "PATCH", token: tenant.token, json: { api_audiences: [NAME] } };
    expect((await call(`${tenant.base}/auth/settings`, changed)).status).toBe(200);
    const tokens = [before, (await standard.redeem(late)).body, (await standard.redeem(await codeNow())).body];
    expect(tokens.map(({ scope }) => scope)).toEqual([before.scope, ...Array(2).fill("openid user:customers")]);
    for (const { access_token: token } of tokens) {
      const send = (path: string, options: CallOptions = {}) => call(`${tenant.base}${path}`, { token, ...options });
      const json = { email: "mallory@example.com", scope: ["admin:accounts"] };
      const refused = [
        await send("/auth/clients"),
        await send(`/auth/clients/${tenant.client.id}/rotate-secret`, { method: "POST" }),
        await send("/management/users", { method: "POST", json }),
      ];
      expect(refused.map(({ status }) => status)).toEqual([403, 403, 403]);
      expect((await send(`/customers/users/${person.id}/consents`)).status, "what is their own").toBe(200);
      const introspected = { method: "POST", headers: { authorization: basic(own) }, form: { token } };
      const told = (await call(`${tenant.base}/oauth/introspect`, introspected)).body;
      expect([told.active, told.scope]).toEqual([true, "openid user:customers"]);
    }
  });
});
