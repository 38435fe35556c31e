/** Addresses that people type off a screen (RFC 8628 §3.3.1): as people type them, they lead to the page of that account. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  basic,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { openSurfer } from "../support/surfer.ts";

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const BROWSER = { accept: "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8" };

describeOnBothEngines("an address that somebody types", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    // As behind a proxy that serves it below a path.
    latchkey = await startLatchkey(engine, { public_url: "https://login.example/auth" });
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const look = async (path: string, headers: Readonly<Record<string, string>> = BROWSER, method = "GET") => {
    const { status, headers: said } = await call(`${latchkey.url}${path}`, { method, headers });
    return [status, said.get("location")];
  };
  const small = () => tenant.account_id.toLowerCase();

  it("leads to the page of that account, in small letters, in capitals and with slashes at its end", async () => {
    const { account_id, issuer } = tenant;
    const [base, other] = [`/v1/accounts/${account_id}`, `/v1/accounts/${small()}`];
    for (const page of ["device", "login/consents", "sandbox"]) {
      const typed = [`${other}/${page}`, `${base}/${page}/`, `${other}/${page}//`, `${other}/${page}`.toUpperCase()];
      for (const path of typed) expect(await look(path), path).toEqual([302, `${issuer}/${page}`]);
      expect((await look(`${base}/${page}`))[1], "not led to itself").toBeNull();
    }
    expect(await look(`${other}/device/`, BROWSER, "HEAD")).toEqual([302, `${issuer}/device`]);
    const short = account_id.slice(0, 4);
    const owner = [302, `${latchkey.config.public_url}/v1/accounts/${short}/device`];
    expect(await look(`/v1/accounts/${short.toLowerCase()}/device`)).toEqual(owner);
  });

  it("brings the code of a device along", async () => {
    const client = await addClient(latchkey, tenant.account_id, { grant_types: [DEVICE], first_party: true });
    const asking = { method: "POST", headers: { authorization: basic(client) }, form: { scope: "openid" } };
    const begun = (await call(`${tenant.base}/oauth/device_authorization`, asking)).body;
    const typed = begun.verification_uri_complete.replace(tenant.account_id, small()).replace("/device", "/device/");
    const shown = await openSurfer(latchkey).visit(typed);
    expect([shown.status, shown.url]).toEqual([200, begun.verification_uri_complete]);
    expect(shown.html).toContain(`value="${begun.user_code}"`);
  });

  it("leads to no other account, to nothing that is no page, and leads no program", async () => {
    const { account_id } = tenant;
    for (const path of [
      ...[`/v1/accounts/x${account_id.slice(1)}/device`, `/v1/accounts/${small()}1/device`],
      ...[`/v1/accounts/${small()}/devices`, `/v1/accounts/${account_id}/oauth/token/`],
      ...[`/v1/accounts/${account_id}/login/`, `/v1/accounts/${small()}//evil.example/device`],
    ])
      expect((await look(path))[1], path).toBeNull();
    for (const headers of [{ accept: "application/json" }, { ...BROWSER, authorization: "Bearer x" }])
      expect(await look(`/v1/accounts/${small()}/device`, headers)).toEqual([400, null]);
    expect((await look(`/v1/accounts/${small()}/device`, BROWSER, "POST"))[1]).toBeNull();
    const nobody = account_id.startsWith("T") ? `P${account_id.slice(1)}` : `T${account_id.slice(1)}`;
    const led = await openSurfer(latchkey).visit(`${latchkey.url}/v1/accounts/${nobody.toLowerCase()}/device`);
    expect([led.status, led.url]).toEqual([404, `${latchkey.config.public_url}/v1/accounts/${nobody}/device`]);
  });
});
