/** A client logs in one type of user: logins of another, of before, end where that changes. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
} from "../support/latchkey.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("a client that logs in another type of user by now", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  it.each([
    ["account_user", [400, 400], "invalid_grant"],
    ["company", [400, 400], "invalid_grant"],
    ["customer", [200, 200], undefined],
  ])("of type %s", async (user_type, statuses, error) => {
    const tenant = await createTenant(latchkey);
    const client = await addClient(latchkey, tenant.account_id, {
      ...{ first_party: true, refresh_without_offline_access: true },
      grant_types: ["authorization_code", "refresh_token"],
    });
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    const standard = standardClient(latchkey, tenant, client);
    const surfer = openSurfer(latchkey);
    const asked = standard.address(client, { resource: tenant.audience, scope: "openid orders:read" });
    const code = answered(await surfer.logIn(asked, tenant, await standard.someone())).get("code") ?? "";
    const late = answered(await surfer.visit(asked)).get("code") ?? "";
    const { refresh_token } = (await standard.redeem(code)).body;
    const changed = { method: "PATCH", token: tenant.token, json: { user_type, name: "The Shop" } };
    expect((await call(`${tenant.base}/auth/clients/${client.id}`, changed)).status).toBe(200);
    const replies = [
      await standard.token({ grant_type: "refresh_token", refresh_token }),
      await standard.token({ grant_type: "authorization_code", code: late, redirect_uri: CALLBACK }),
    ];
    expect(replies.map(({ status }) => status)).toEqual(statuses);
    expect(replies.map(({ body }) => body.error)).toEqual([error, error]);
  });
});
