/** An authorization request is kept for half an hour, and anybody may send one: one address fills no database. */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { DEVICE_CODE } from "../../src/directory/clients/settings.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  basic,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { countSubjects, useUpSite, useUpSource } from "../support/used-up.ts";

describeOnBothEngines("requests of strangers", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let own: TestClient;
  let open: TestClient;
  let standard: StandardClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { TRUSTED_PROXIES: "127.0.0.0/8" } });
  });
  beforeEach(async () => {
    tenant = await createTenant(latchkey);
    own = await addClient(latchkey, tenant.account_id, { first_party: true });
    open = await addClient(latchkey, tenant.account_id, { token_endpoint_auth_method: "none" });
    standard = standardClient(latchkey, tenant, own);
  });
  afterAll(() => latchkey.close());

  const from = (address: string) => ({ "x-forwarded-for": address });
  const CROWD = "192.0.2.1";
  /** All but one of what an address has; the windows of two minutes may meet here. */
  const useUp = () => useUpSource(latchkey, tenant, "request_source", CROWD, 1);
  const kept = async () => {
    const { read } = latchkey.server.core.storage;
    const rows = read.selectFrom("authorization_requests").select("id").where("account_id", "=", tenant.account_id);
    return (await rows.execute()).length;
  };
  const ask = async (address: string) => {
    const reply = await call(standard.address(own), { headers: from(address) });
    return reply.status;
  };
  const push = async () => {
    const challenge = { code_challenge: "c".repeat(43), code_challenge_method: "S256" };
    const form = Object.fromEntries(new URL(standard.address(open, challenge)).searchParams);
    return (await call(`${tenant.issuer}/oauth/par`, { method: "POST", headers: from(CROWD), form })).status;
  };

  it("are counted by address, of each account alone, and leave nothing where they are refused", async () => {
    await useUp();
    expect([await ask(CROWD), await ask(CROWD), await push()]).toEqual([303, 429, 429]);
    expect(await kept()).toBe(1);
    expect(await ask("192.0.2.2"), "at the same client").toBe(303);
    const refused = await call(standard.address(own), { headers: { ...from(CROWD), accept: "application/json" } });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("are counted where a device of a client without a secret asks", async () => {
    const device = await addClient(latchkey, tenant.account_id, {
      grant_types: [DEVICE_CODE],
      token_endpoint_auth_method: "none",
    });
    const kept_secret = await addClient(latchkey, tenant.account_id, { grant_types: [DEVICE_CODE] });
    const ofDevice = ({ client_id }: TestClient, headers: Record<string, string> = {}) => {
      const form = { client_id, scope: "openid" };
      const options = { method: "POST", headers: { ...from(CROWD), ...headers }, form };
      return call(`${tenant.issuer}/oauth/device_authorization`, options);
    };
    const begin = async (...asks: Parameters<typeof ofDevice>) => (await ofDevice(...asks)).status;
    await useUp();
    expect([await begin(device), await begin(device)]).toEqual([200, 429]);
    const { user_code } = (await ofDevice(kept_secret, { authorization: basic(kept_secret) })).body;
    const entered = { method: "POST", headers: from(CROWD), form: { user_code } };
    expect((await call(`${tenant.issuer}/device`, entered)).status, "at the page").toBe(429);
    expect(await begin(kept_secret, { authorization: basic(kept_secret) }), "who shows who it is").toBe(200);
  });

  it("are not counted again where they were pushed, nor at all of a client that shows a secret", async () => {
    const form = Object.fromEntries(new URL(standard.address(own)).searchParams);
    const shown = { ...from(CROWD), authorization: basic(own) };
    await useUp();
    expect([await ask(CROWD), await ask(CROWD)]).toEqual([303, 429]);
    const pushed = await call(`${tenant.issuer}/oauth/par`, { method: "POST", headers: shown, form });
    expect(pushed.status, pushed.text).toBe(201);
    const { request_uri } = pushed.body;
    const address = `${tenant.issuer}/oauth/authorize?${new URLSearchParams({ client_id: own.client_id, request_uri })}`;
    expect((await call(address, { headers: from(CROWD) })).status).toBe(303);
  });

  it("are counted by IPv6 site as well, of which an address that may ask no more takes nothing", async () => {
    await useUpSite(latchkey, tenant, "request_site", "2001:db8:1::1", 2);
    await useUpSource(latchkey, tenant, "request_source", "2001:db8:1:1::1");
    expect([await ask("2001:db8:1:1::1"), await ask("2001:db8:1:1::2")]).toEqual([429, 429]);
    expect([await ask("2001:db8:1:2::1"), await ask("2001:db8:1:3::1")]).toEqual([303, 303]);
    expect([await ask("2001:db8:1:4::1"), await ask("2001:db8:2::1")]).toEqual([429, 303]);
    const { storage } = latchkey.server.core;
    expect(await countSubjects(storage, tenant, "request_source"), "none of whom the site refuses").toBe(4);
  });

  it("use up nothing of browsers behind the same address in which somebody has logged in", async () => {
    const surfer = openSurfer(latchkey, from(CROWD));
    await surfer.logIn(standard.address(own), tenant, await standard.someone());
    await useUp();
    expect(await ask(CROWD), "its login was one of them").toBe(429);
    const silent = await surfer.visit(standard.address(own, { prompt: "none" }));
    expect(answered(silent).get("code")).toBeTruthy();
    expect((await surfer.visit(standard.address(own, { prompt: "login" }))).status).toBe(200);
  });
});
