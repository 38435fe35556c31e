/** A code that is out when what it stands for ends is worth nothing, at a process that has not heard of that end either. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  authorize,
  call,
  createTenant,
  type Latchkey,
  receiveCode,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";

interface Login {
  readonly surfer: Surfer;
  readonly user: { readonly id: string; readonly email: string };
  readonly client: TestClient;
}

describeOnBothEngines("a code whose login ended meanwhile", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let own: TestClient;
  let third: TestClient;
  let standard: StandardClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    own = await addClient(latchkey, tenant.account_id, { first_party: true });
    third = await addClient(latchkey, tenant.account_id);
    standard = standardClient(latchkey, tenant, own);
  });
  afterAll(() => latchkey.close());

  const customers = "/customers/users";
  /** At an instant that everything so far is before. */
  const setAnew = async ({ id, email }: Login["user"]) => {
    const { storage } = latchkey.server.core;
    const begun = storage.now();
    await expect.poll(() => storage.now() > begun, { timeout: 5_000 }).toBe(true);
    const href = `/v1/accounts/${tenant.account_id}${customers}/${id}`;
    const json = { username: email, password: "a new battery", links: [{ rel: "customers_user", href }] };
    expect((await call(`${tenant.base}/auth/users`, { method: "POST", token: tenant.token, json })).status).toBe(200);
    const ended = storage.now();
    await expect.poll(() => storage.now() > ended, { timeout: 5_000 }).toBe(true);
  };
  const ends: Record<string, (login: Login) => Promise<unknown>> = {
    "they logged out": async ({ surfer }) => {
      const endpoint = `${tenant.issuer}/oauth/logout`;
      await surfer.visit(endpoint);
      expect((await surfer.visit(endpoint, { confirm: "yes" })).html).toContain("You are logged out");
    },
    "they took their consent back": async ({ user, client }) => {
      const path = `${tenant.base}${customers}/${user.id}/consents/${client.id}`;
      expect((await call(path, { method: "DELETE", token: tenant.token })).status).toBe(204);
    },
    "their password was set anew": ({ user }) => setAnew(user),
  };

  it("is redeemed no more where no browser holds it: the person's password was set anew", async () => {
    const user = await addUser(latchkey, tenant.account_id);
    const codeFor = async () => {
      const verification_code = await receiveCode(tenant, { email: user.email });
      const given = await authorize(tenant, { verification_code, response_type: "code", scope: "openid" });
      return new URL(given.headers.get("location") ?? "").searchParams.get("code") ?? "";
    };
    const begun = await codeFor();
    const unheard = vi.spyOn(latchkey.server.core.directory.revocations, "checkAlive").mockImplementation(() => {});
    try {
      await setAnew(user);
      expect((await standard.redeem(begun, tenant.client)).body).toMatchObject({ error: "invalid_grant" });
      expect((await standard.redeem(await codeFor(), tenant.client)).status, "one of afterwards").toBe(200);
    } finally {
      unheard.mockRestore();
    }
  });

  it.each(Object.keys(ends))("is redeemed no more: %s", async (how) => {
    const user = await addUser(latchkey, tenant.account_id);
    const client = how.includes("consent") ? third : own;
    const surfer = openSurfer(latchkey);
    const codeOf = async (login: Promise<{ readonly url: string }>) =>
      new URL((await login).url).searchParams.get("code") ?? "";
    const logIn = () => codeOf(surfer.logIn(standard.address(client), tenant, user.email));
    const begun = await logIn();
    const silent = answered(await surfer.visit(standard.address(client, { prompt: "none" }))).get("code") ?? "";
    expect((await standard.redeem(begun, client)).body.id_token, "before").toBeTruthy();
    const unheard = vi.spyOn(latchkey.server.core.directory.revocations, "checkAlive").mockImplementation(() => {});
    try {
      await ends[how]?.({ surfer, user, client });
      const { status, body } = await standard.redeem(silent, client);
      expect([status, body.error, body.id_token]).toEqual([400, "invalid_grant", undefined]);
      const anew = openSurfer(latchkey).logIn(standard.address(client), tenant, user.email);
      expect((await standard.redeem(await codeOf(anew), client)).status, "one of afterwards").toBe(200);
    } finally {
      unheard.mockRestore();
    }
  });
});
