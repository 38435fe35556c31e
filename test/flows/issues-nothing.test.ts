/** What was taken away on one process gives nothing new on another, though that one still remembers it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  addClient,
  addGrant,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { standardClient } from "../support/standard-client.ts";

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

describe("another process on the same PostgreSQL", () => {
  let latchkey: Latchkey;
  let beside: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey("postgres");
    const { database, config } = latchkey;
    beside = await startLatchkey("postgres", { database, public_url: config.public_url });
    tenant = await createTenant(latchkey);
  });
  afterAll(async () => {
    await beside.stop();
    await latchkey.close();
  });

  const base = () => `${beside.url}/v1/accounts/${tenant.account_id}`;
  const add = () =>
    addClient(latchkey, tenant.account_id, {
      first_party: true,
      grant_types: ["authorization_code", "refresh_token", EXCHANGE],
      refresh_without_offline_access: true,
    });
  const rotateSecret = (client: TestClient) =>
    call(`${tenant.base}/auth/clients/${client.id}/rotate-secret`, { method: "POST", token: tenant.token });
  const remove = (path: string) => call(`${tenant.base}${path}`, { method: "DELETE", token: tenant.token });
  const subOf = (jwt: string) => JSON.parse(Buffer.from(jwt.split(".")[1] ?? "", "base64url").toString()).sub;

  it.each([
    ["secret", (client: TestClient) => rotateSecret(client)],
    ["client", ({ id }: TestClient) => remove(`/auth/clients/${id}`)],
    ["person", (_: TestClient, user_id: string) => remove(`/customers/users/${user_id}`)],
  ])("exchanges no token once the %s is gone", async (_, end) => {
    const own = await add();
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
    const standard = standardClient(latchkey, tenant, own);
    const code = await standard.codeFor(own, { resource: tenant.audience });
    const { access_token } = (await standard.redeem(code)).body;
    const about = { subject_token: access_token, subject_token_type: ACCESS_TOKEN, audience: tenant.audience };
    const exchange = () => standard.token({ grant_type: EXCHANGE, ...about }, own, base());
    expect((await exchange()).status).toBe(200);
    expect((await end(own, subOf(access_token))).status).toBe(200);
    const refused = await exchange();
    expect([400, 401], refused.text).toContain(refused.status);
  });

  it("answers no refresh a second time to a secret that is gone", async () => {
    const own = await add();
    const standard = standardClient(latchkey, tenant, own);
    const { refresh_token } = (await standard.redeem(await standard.codeFor())).body;
    const refresh = () => standard.token({ grant_type: "refresh_token", refresh_token }, own, base());
    expect((await refresh()).status).toBe(200);
    expect((await rotateSecret(own)).status).toBe(200);
    const refused = await refresh();
    expect([400, 401], refused.text).toContain(refused.status);
  });
});
