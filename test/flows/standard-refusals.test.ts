/** In which words the standard surface refuses, by the document that each address follows. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addGrant, basic, call } from "../support/latchkey.ts";
import { openScene, type Scene } from "../support/standard-client.ts";

describeOnBothEngines("a refusal of the standard surface", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  it("says of an API that a client holds no grant for that it is no target, whatever the grant type", async () => {
    const { latchkey, tenant } = scene;
    const service = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, service, tenant.audience, ["orders:read"]);
    const nowhere = "https://nowhere.example";
    const asked = (about: Record<string, string>, client = service) =>
      scene.token({ grant_type: "client_credentials", ...about }, client);
    for (const about of [{ resource: nowhere }, { audience: nowhere }]) {
      const { status, body } = await asked(about);
      expect([status, body.error], JSON.stringify(about)).toEqual([400, "invalid_target"]);
    }
    expect((await asked({ resource: tenant.audience })).status).toBe(200);
    const settings = { grant_types: ["authorization_code"] as ["authorization_code"] };
    const login = await addClient(latchkey, tenant.account_id, settings);
    expect((await asked({ resource: nowhere }, login)).body.error, "no such grant type").toBe("unauthorized_client");
    const json = { grant_type: "client_credentials", audience: nowhere };
    const own = { method: "POST", headers: { authorization: basic(service) }, json };
    const { status, body } = await call(`${tenant.base}/auth/token`, own);
    expect([status, body.error.code]).toEqual([403, "unauthorized_client"]);
  });

  it("refuses a method in the form that the address has for its other errors", async () => {
    const { latchkey, tenant } = scene;
    const { pathname } = new URL(tenant.issuer);
    for (const address of [
      `${tenant.issuer}/.well-known/openid-configuration`,
      `${latchkey.url}/.well-known/oauth-authorization-server${pathname}`,
      `${latchkey.url}/.well-known/oauth-protected-resource${pathname}`,
      `${tenant.issuer}/oauth/userinfo`,
    ]) {
      const { status, body, headers } = await call(address, { method: "DELETE" });
      expect([status, body.error, typeof body.error_description], address).toEqual([
        ...[405, "method_not_allowed", "string"],
      ]);
      expect([headers.has("allow"), headers.get("access-control-allow-origin")], address).toEqual([true, "*"]);
    }
    const { status, body } = await call(`${tenant.base}/auth/token`, { method: "DELETE" });
    expect([status, body.error.code]).toEqual([405, "method_not_allowed"]);
  });
});
