/** A second grant for the same is refused: whoever made it would think that the client has the scopes of both. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, call, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";

describeOnBothEngines("a second grant for the same", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const grant = (json: object) =>
    call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json });

  it("is refused, and the grant that is there is named, whatever name of the account API either has", async () => {
    const { id: client_id } = await addClient(latchkey, tenant.account_id);
    const first = await grant({ client_id, audience: tenant.issuer, scope: ["read:customers"] });
    expect(first.status).toBe(200);
    for (const audience of [tenant.issuer, `https://api.dintero.com/v1/accounts/${tenant.account_id}`]) {
      const second = await grant({ client_id, audience, scope: ["admin:customers"] });
      expect(second).toMatchObject({
        status: 400,
        body: { error: { code: "invalid_request", errors: [{ path: "audience", code: "taken" }] } },
      });
      expect(second.body.error.message).toContain(first.body.id);
    }
    const one = call(`${tenant.base}/auth/client-grants/${first.body.id}`, { method: "DELETE", token: tenant.token });
    expect((await one).status).toBe(200);
    expect((await grant({ client_id, audience: tenant.issuer, scope: ["admin:customers"] })).status).toBe(200);
  });

  it("is one for the same host by another spelling", async () => {
    const { id: client_id } = await addClient(latchkey, tenant.account_id);
    const first = await grant({ client_id, audience: "https://root.example", scope: ["a:read"] });
    const second = await grant({ client_id, audience: "https://root.example/", scope: ["a:write"] });
    expect([second.status, second.body.error?.errors]).toMatchObject([400, [{ path: "audience", code: "taken" }]]);
    expect(second.body.error.message).toContain(first.body.id);
  });

  it("of which two are asked for at once is made once", async () => {
    const { id: client_id } = await addClient(latchkey, tenant.account_id);
    const json = { client_id, audience: "https://at-once.example", scope: ["a:read"] };
    const made = await Promise.all(Array.from({ length: 4 }, () => grant(json)));
    expect(made.map(({ status }) => status).toSorted()).toEqual([200, 400, 400, 400]);
  });

  it("is made where a flow may take it: another kind of flow, another API, another client, or a provider", async () => {
    const [one, other] = [await addClient(latchkey, tenant.account_id), await addClient(latchkey, tenant.account_id)];
    const audience = "https://orders.example";
    const provider = (n: number) => ({
      ...{ client_id: "us", client_secret: "upstream-secret", authority: `https://login${n}.example` },
    });
    const made = [
      { client_id: one.id, audience },
      { client_id: one.id, audience, type: "authorization_code", oidc: provider(1) },
      { client_id: one.id, audience, type: "authorization_code", oidc: provider(2) },
      { client_id: one.id, audience, type: "authorization_code" },
      { client_id: one.id, audience, type: "client_credentials" },
      { client_id: one.id, audience, type: "password" },
      { client_id: one.id, audience: `${audience}/v2` },
      { client_id: other.id, audience },
    ];
    for (const json of made) expect((await grant({ ...json, scope: [] })).status, JSON.stringify(json)).toBe(200);
  });
});
