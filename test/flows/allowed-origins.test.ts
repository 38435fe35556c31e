/** Where a client lists origins, pages of others cannot call for it; servers and apps, which name none, can. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { basic, call, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";

const OURS = "https://app.shop.example";

describeOnBothEngines("allowed_origins", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey, { client: { allowed_origins: [OURS, "capacitor://localhost"] } });
  });
  afterAll(() => latchkey.close());

  const from = (origin: string | undefined) => (origin === undefined ? {} : { origin });
  const outcome = async (path: string, options: object) => {
    const { status, body } = await call(`${tenant.base}${path}`, options);
    return status < 300 ? status : [status, body.error?.code ?? body.error];
  };

  it("let in calls of their pages, of ours and of what is no browser, with token or secret", async () => {
    const { audience, client } = tenant;
    const foreign: unknown[] = [];
    for (const origin of [
      OURS,
      "capacitor://localhost",
      latchkey.config.public_url,
      undefined,
      "https://shop.example",
      "null",
    ]) {
      const headers = { authorization: basic(client), ...from(origin) };
      const credentials = { grant_type: "client_credentials", audience };
      const answers = [
        await outcome("/auth/clients", { token: tenant.token, headers: from(origin) }),
        await outcome("/auth/token", { method: "POST", headers, json: credentials }),
        await outcome("/oauth/introspect", { method: "POST", headers, form: { token: tenant.token } }),
      ];
      if (origin === "https://shop.example" || origin === "null") foreign.push(answers);
      else expect(answers, origin).toEqual([200, 200, 200]);
    }
    const refused = (status: number) => [status, "unauthorized_client"];
    const each = [refused(403), refused(403), refused(400)];
    expect(foreign).toEqual([each, each]);
  });

  it("are no matter of a preflight, which is answered for every account, so that a page reads why it is refused", async () => {
    for (const oid of [tenant.account_id, "T99999999", "t55500001"]) {
      const url = `${latchkey.url}/v1/accounts/${oid}/auth/token`;
      const preflight = await call(url, { method: "OPTIONS", headers: from(OURS) });
      expect([preflight.status, preflight.headers.get("access-control-allow-methods")], oid).toEqual([204, "POST"]);
      expect((await call(url, { method: "POST", json: {} })).headers.get("access-control-allow-origin"), oid).toBe("*");
    }
  });

  it("are origins, as browsers write them", async () => {
    const path = `${tenant.base}/auth/clients/${tenant.client.id}`;
    const change = (origin: string) =>
      call(path, { method: "PATCH", token: tenant.token, json: { allowed_origins: [origin] } });
    for (const wrong of [`${OURS}/`, "shop.example", "https://Shop.example", "https://shop.example:443", "*", "null"]) {
      const { status, body } = await change(wrong);
      expect([status, body.error?.errors?.[0].path], wrong).toEqual([400, "allowed_origins.0"]);
    }
    expect((await change("http://localhost:3000")).status).toBe(200);
  });
});
