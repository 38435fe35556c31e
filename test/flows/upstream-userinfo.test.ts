/** Providers that tell an address at their userinfo endpoint alone: what it says counts, and its silence is no answer. */
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { openReceiver, type Receiver, type ReceiverAnswer } from "../support/receiver.ts";

describeOnBothEngines("a provider whose userinfo alone tells the address", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let client: TestClient;
  let provider: Receiver;
  let key: CryptoKey;
  let id_token = "";
  let userinfo: ReceiverAnswer = [200, "{}"];
  beforeAll(async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    key = privateKey;
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "1", alg: "ES256" }] };
    provider = await openReceiver(({ path, headers: { host } }) => {
      const issuer = `http://${host}`;
      const at = { token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks` };
      if (path.endsWith("/openid-configuration"))
        return [200, JSON.stringify({ issuer, userinfo_endpoint: `${issuer}/userinfo`, ...at })];
      if (path === "/jwks") return [200, JSON.stringify(jwks)];
      if (path === "/userinfo") return userinfo;
      return [200, JSON.stringify({ id_token, access_token: "x", token_type: "Bearer" })];
    });
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
    client = await addClientOf(["example.com"]);
  });
  afterAll(async () => {
    await latchkey.close();
    await provider.close();
  });

  async function addClientOf(trusted_domains: readonly string[]): Promise<TestClient> {
    const own = await addClient(latchkey, tenant.account_id, { signup: true });
    const oidc = { client_id: "latchkey", client_secret: "upstream-secret", authority: provider.url };
    const json = {
      ...{ client_id: own.id, audience: tenant.audience, scope: ["orders:read"], type: "authorization_code" },
      oidc: { ...oidc, trusted_domains },
    };
    const reply = await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json });
    expect(reply.status, reply.text).toBe(200);
    return own;
  }

  /** `told`: claims at the userinfo endpoint, or a status. */
  async function logIn(sub: string, told: object | number, claims: object = {}, { client_id } = client) {
    const jwt = new SignJWT({ ...claims }).setProtectedHeader({ alg: "ES256", kid: "1" }).setSubject(sub);
    id_token = await jwt
      .setIssuer(provider.url)
      .setAudience("latchkey")
      .setIssuedAt()
      .setExpirationTime("1m")
      .sign(key);
    userinfo = typeof told === "number" ? [told, "{}"] : [200, JSON.stringify({ sub, ...told })];
    const { status, body } = await call(`${tenant.base}/auth/oidc/token`, {
      method: "POST",
      token: tenant.token,
      json: { ...{ grant_type: "authorization_code", client_id, audience: tenant.audience }, code: "x" },
    });
    const { sub: user_id } = status === 200 ? claimsOf(body.access_token) : {};
    return { status, code: body.error?.code, message: body.error?.message, user_id };
  }

  it.each([
    ["answers 503", 503],
    ["answers 429", 429],
    ["answers 403", 403],
    ["speaks of somebody else", { sub: "somebody-else" }],
  ] as const)("makes nobody new when it %s, and whom it knows is still let in", async (what, failure) => {
    const { id, email } = await addUser(latchkey, tenant.account_id);
    const sub = `of ${what}`;
    const refused = await logIn(sub, failure);
    expect([refused.status, refused.code]).toEqual([400, "upstream_login_failed"]);
    expect(refused.message).toContain("userinfo");
    expect((await logIn(sub, { email, email_verified: true })).user_id, "once it tells the address").toBe(id);
    expect((await logIn(sub, failure)).user_id, "who is linked").toBe(id);
  });

  it.each([401, 403, 503])("lets in whoever is new where no domain is trusted, when it answers %i", async (failure) => {
    const { email } = await addUser(latchkey, tenant.account_id);
    const trusting_none = await addClientOf([]);
    const sub = `of none ${failure}`;
    const first = await logIn(sub, failure, {}, trusting_none);
    expect([first.status, first.code]).toEqual([200, undefined]);
    expect((await logIn(sub, { email, email_verified: true }, {}, trusting_none)).user_id).toBe(first.user_id);
  });

  it("is asked about the address that it tells, whatever the ID token says is verified", async () => {
    const { id, email } = await addUser(latchkey, tenant.account_id);
    for (const [sub, told] of [
      ["denied", { email, email_verified: false }],
      ["silent", { email }],
    ] as const) {
      const { status, user_id } = await logIn(sub, told, { email_verified: true });
      expect([status, user_id === id], sub).toEqual([200, false]);
    }
    const vouched = await logIn("vouched", { email, email_verified: true }, { email_verified: false });
    expect(vouched.user_id).toBe(id);
  });
});
