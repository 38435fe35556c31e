/** What `oauth/revoke` tells a client of tokens that are none of its own, and does to them (RFC 7009 §2). */
import { afterAll, beforeAll, expect, it } from "vitest";
import { openKey } from "../support/dpop.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addGrant, basic, CALLBACK, call, type TestClient } from "../support/latchkey.ts";
import { EXCHANGE } from "../support/standard-attempts.ts";
import { openScene, pkce, type Scene, VERIFIER } from "../support/standard-client.ts";

const STOCK = "https://stock.example";

describeOnBothEngines("a client that revokes another's token", (engine) => {
  let scene: Scene;
  let shop: TestClient;
  beforeAll(async () => {
    scene = await openScene(engine);
    const { latchkey, tenant } = scene;
    shop = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      grant_types: ["authorization_code", "refresh_token", "client_credentials", EXCHANGE],
    });
    for (const audience of [tenant.audience, STOCK, tenant.issuer])
      await addGrant(latchkey, tenant.account_id, shop, audience, ["orders:read", "admin:accounts"]);
  });
  afterAll(() => scene.close());

  const isActive = async (token: string) => {
    const options = { method: "POST", headers: { authorization: basic(shop) }, form: { token } };
    return (await call(`${scene.tenant.base}/oauth/introspect`, options)).body.active;
  };
  const about = { scope: "openid offline_access" };

  /** Tokens of a client that live, by their kind, each of a login of its own. */
  async function openTokens(): Promise<Readonly<Record<string, string>>> {
    const { tenant } = scene;
    const logIn = async (more = {}) => (await scene.redeem(await scene.codeFor(shop, more), shop)).body;
    const asked = { resource: tenant.audience, scope: "openid offline_access orders:read" };
    const as_itself = (audience: string) => scene.token({ grant_type: "client_credentials", audience }, shop);
    const subject_token_type = "urn:ietf:params:oauth:token-type:access_token";
    const subject_token = (await logIn(asked)).access_token;
    const exchange = { grant_type: EXCHANGE, subject_token, subject_token_type, audience: STOCK };
    const key = await openKey(tenant.issuer);
    const bound = async (nonce?: string) =>
      call(`${tenant.base}/oauth/token`, {
        method: "POST",
        headers: { authorization: basic(shop), dpop: await key.proof({ nonce }) },
        form: { grant_type: "client_credentials", audience: STOCK },
      });
    const nonce = (await bound()).headers.get("dpop-nonce") ?? "";
    return {
      "for userinfo": (await logIn(about)).access_token,
      "of a person": (await logIn(asked)).access_token,
      "that refreshes": (await logIn(asked)).refresh_token,
      "of a client": (await as_itself(tenant.audience)).body.access_token,
      "of an administrator": (await as_itself(tenant.issuer)).body.access_token,
      "that was exchanged": (await scene.token(exchange, shop)).body.access_token,
      "that is bound to a key": (await bound(nonce)).body.access_token,
    };
  }

  it("is told so where it shows a secret, and nothing at all where it has none; what lives goes on", async () => {
    const { latchkey, tenant } = scene;
    const [told, open] = [
      await addClient(latchkey, tenant.account_id),
      await addClient(latchkey, tenant.account_id, { token_endpoint_auth_method: "none" }),
    ];
    const revoke = async (form: Record<string, string>, by?: TestClient) => {
      const headers = by ? { authorization: basic(by) } : {};
      const { status, text } = await call(`${tenant.base}/oauth/revoke`, { method: "POST", headers, form });
      return { status, text };
    };
    const { client_id } = open;
    const over = await revoke({ token: "x", client_id });
    expect(over).toEqual({ status: 200, text: "{}" });
    for (const [kind, token] of Object.entries(await openTokens())) {
      expect(await isActive(token), kind).toBe(true);
      expect(await revoke({ token, client_id }), kind).toEqual(over);
      expect((await revoke({ token }, told)).status, kind).toBe(400);
      expect(await isActive(token), kind).toBe(true);
      await revoke({ token }, shop);
      expect(await isActive(token), kind).toBe(false);
    }
  });

  it("ends its own without a secret, a refresh token with its login", async () => {
    const { latchkey, tenant } = scene;
    const open = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
    });
    const { client_id } = open;
    const code_verifier = VERIFIER;
    const code = await scene.codeFor(open, { ...about, ...pkce });
    const form = { grant_type: "authorization_code", code, redirect_uri: CALLBACK, client_id, code_verifier };
    const { access_token, refresh_token } = (await scene.token(form, null)).body;
    const userinfo = () => call(`${tenant.base}/oauth/userinfo`, { token: access_token });
    expect((await userinfo()).status).toBe(200);
    const revoked = { method: "POST", form: { client_id, token: refresh_token } };
    expect((await call(`${tenant.base}/oauth/revoke`, revoked)).status).toBe(200);
    expect((await userinfo()).status).toBe(401);
  });
});
