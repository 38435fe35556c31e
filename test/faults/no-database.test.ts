/** The database is not there for a moment: nobody is told that what they hold is worth nothing. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { standardClient } from "../support/standard-client.ts";
import { openWire, type Wire } from "../support/wire.ts";

let latchkey: Latchkey;
let tenant: Tenant;
let wire: Wire;
beforeAll(async () => {
  const database = await createTestDatabase("postgres");
  const url = new URL(database.database_url);
  wire = await openWire(Number(url.port));
  url.port = String(wire.port);
  latchkey = await startLatchkey("postgres", { database: { ...database, database_url: url.href } });
  tenant = await createTenant(latchkey);
});
afterAll(async () => {
  await latchkey.close();
  await wire.close();
});

it("tells a client to come back, and its token is as good as before", async () => {
  const own = await addClient(latchkey, tenant.account_id, { first_party: true });
  await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
  const standard = standardClient(latchkey, tenant, own);
  const { access_token: token } = (await standard.redeem(await standard.codeFor())).body;
  const userinfo = () => call(`${tenant.base}/oauth/userinfo`, { token });
  expect((await userinfo()).status).toBe(200);
  wire.cut();
  const gone = await userinfo();
  expect([gone.status, gone.body.error, gone.headers.get("retry-after")], gone.text).toEqual([
    503,
    "temporarily_unavailable",
    "1",
  ]);
  wire.mend();
  await expect.poll(async () => (await userinfo()).status, { timeout: 20_000 }).toBe(200);
});
