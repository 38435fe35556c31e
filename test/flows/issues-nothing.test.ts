/** What was taken away on one process gives nothing new on another, though that one still remembers it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import {
  addClient,
  addGrant,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  type Reply,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { type AccountUserLogin, logInAccountUser, personToken } from "../support/people.ts";
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
  const removeOf = (own: Tenant, path: string) => call(`${own.base}${path}`, { method: "DELETE", token: own.token });
  const remove = (path: string) => removeOf(tenant, path);

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
    expect((await end(own, claimsOf(access_token).sub)).status).toBe(200);
    const { status, body } = await exchange();
    expect(["400 invalid_request", "401 invalid_client"]).toContain(`${status} ${body.error}`);
  });

  it.each([
    ["client", (own: Tenant) => removeOf(own, `/auth/clients/${own.client.id}`)],
    ["person", (own: Tenant) => removeOf(own, `/customers/users/${own.user.id}`)],
  ])("sends nobody on with an ID token once the %s is gone", async (_, end) => {
    const own = await createTenant(latchkey);
    const token = await personToken(own);
    const json = { redirect_uri: CALLBACK };
    const sendOn = () =>
      call(`${beside.url}/v1/accounts/${own.account_id}/auth/redirect`, { method: "POST", token, json });
    expect((await sendOn()).status).toBe(302);
    expect((await end(own)).status).toBe(200);
    const refused = await sendOn();
    expect([401, 403, 404], refused.text).toContain(refused.status);
  });

  it.each([
    ["client", (own: Tenant, { client }: AccountUserLogin) => removeOf(own, `/auth/clients/${client.id}`)],
    ["grant", (own: Tenant, _: AccountUserLogin, grant_id: string) => removeOf(own, `/auth/client-grants/${grant_id}`)],
    ["person", (own: Tenant, { id }: AccountUserLogin) => removeOf(own, `/management/users/${id}`)],
  ])("gives an account user no further token once the %s is gone", async (_, end) => {
    const own = await createTenant(latchkey);
    const me = await logInAccountUser(latchkey, own);
    const json = { grant_type: "account_user" };
    const exchange = () =>
      call(`${beside.url}/v1/accounts/${own.account_id}/auth/token`, { method: "POST", token: me.token, json });
    expect((await exchange()).status).toBe(200);
    expect((await end(own, me, claimsOf(me.token).grant_id)).status).toBe(200);
    const refused = await exchange();
    expect([400, 401, 403], refused.text).toContain(refused.status);
  });

  it("tells a client whose secret is gone that, and its refresh tokens and codes stay good", async () => {
    const own = await add();
    const standard = standardClient(latchkey, tenant, own);
    const { refresh_token } = (await standard.redeem(await standard.codeFor())).body;
    const code = await standard.codeFor();
    const refresh = (by: TestClient, token: string) =>
      standard.token({ grant_type: "refresh_token", refresh_token: token }, by, base());
    const first = await refresh(own, refresh_token);
    expect(first.status, "known there").toBe(200);
    const newest = first.body.refresh_token;
    const { client_secret } = (await rotateSecret(own)).body;
    const redeem = (by: TestClient) =>
      standard.token({ grant_type: "authorization_code", code, redirect_uri: CALLBACK }, by, base());
    const renewed = { ...own, client_secret };
    const told = ({ status, body }: Reply) => `${status} ${body.error}`;
    expect(told(await redeem(own))).toBe("401 invalid_client");
    expect((await redeem(renewed)).status).toBe(200);
    expect(told(await refresh(own, newest))).toBe("401 invalid_client");
    expect((await refresh(renewed, newest)).status).toBe(200);
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
