/** ID tokens of a refresh (OpenID Connect Core §12.2): of the same login, and only where it has `openid`. */
import { createRemoteJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addGrant, authorize, call, mintCode, type TestClient, tokenOf } from "../support/latchkey.ts";
import { token } from "../support/people.ts";
import { answered, openScene, pkce, type Scene, VERIFIER } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const LASTING = ["authorization_code", "refresh_token", "client_credentials"] as const;
const HOUR = 3_600;

describeOnBothEngines("an ID token of a refresh", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  const clientWith = (settings: Parameters<typeof addClient>[2] = {}) =>
    addClient(scene.latchkey, scene.tenant.account_id, {
      first_party: true,
      grant_types: [...LASTING],
      ...settings,
    });
  const logIn = async (
    client: TestClient,
    more: Readonly<Record<string, string>>,
    surfer = openSurfer(scene.latchkey),
  ) => {
    const url = scene.address(client, { ...pkce, ...more });
    const code = answered(await surfer.logIn(url, scene.tenant, await scene.someone())).get("code") ?? "";
    const redeemed = await scene.redeem(code, client, { code_verifier: VERIFIER });
    expect(redeemed.status, redeemed.text).toBe(200);
    return redeemed.body as Record<"access_token" | "refresh_token" | "id_token", string>;
  };
  const refresh = async (client: TestClient, refresh_token: string, more: Readonly<Record<string, string>> = {}) => {
    const reply = await scene.token({ grant_type: "refresh_token", refresh_token, ...more }, client);
    expect(reply.status, reply.text).toBe(200);
    return reply.body as Partial<Record<"access_token" | "refresh_token" | "id_token" | "scope", string>>;
  };
  /** Moves the login of a family back by an hour. */
  const age = async (id: string) => {
    const { storage } = scene.latchkey.server.core;
    const found = await storage.read.selectFrom("refresh_families").selectAll().where("id", "=", id).executeTakeFirst();
    const auth_time = Number(found?.auth_time) - HOUR * 1000;
    await storage.write(async ({ db }) => {
      await db.updateTable("refresh_families").set({ auth_time }).where("id", "=", id).execute();
    });
  };

  it.each(["public", "pairwise"] as const)("says who logged in, when and how, to a %s client", async (subject_type) => {
    const { tenant, latchkey } = scene;
    const client = await clientWith({ subject_type });
    const asked = { scope: "openid offline_access email phone profile", nonce: "n-0S6_WzA2Mj" };
    const first = await logIn(client, asked);
    await age(claimsOf(first.access_token).sid);
    const { id_token = "", refresh_token = "" } = await refresh(client, first.refresh_token);
    const keys = createRemoteJWKSet(new URL(`${latchkey.url}/v1/accounts/${tenant.account_id}/oauth/jwks.json`));
    const { payload } = await jwtVerify(id_token, keys, { issuer: tenant.issuer, audience: client.client_id });
    const before = claimsOf(first.id_token);
    for (const name of ["sub", "aud", "azp", "sid", "amr", "acr", "email", "email_verified", "name", "phone_number"])
      expect(payload[name], name).toEqual(before[name]);
    const again = await refresh(client, first.refresh_token);
    expect([claimsOf(again.id_token ?? "").sid, typeof before.sid], "a lost answer").toEqual([before.sid, "string"]);
    expect([before.email, before.name, before.phone_number].every(Boolean)).toBe(true);
    expect(payload.auth_time, "of the login, not of the refresh").toBe(before.auth_time - HOUR);
    expect(payload.iat).toBeGreaterThanOrEqual(before.iat);
    expect(Number(payload.exp) - Number(payload.iat)).toBe(600);
    expect(payload.jti).not.toBe(before.jti);
    expect(payload.nonce, "what was said once").toBeUndefined();
    const next = await refresh(client, refresh_token, { scope: "openid profile" });
    const narrowed = claimsOf(next.id_token ?? "");
    expect([narrowed.sub, narrowed.email], "no more than the scopes that were asked for").toEqual([
      before.sub,
      undefined,
    ]);
  });

  it("comes with openid alone, and where the login began alone", async () => {
    const { tenant, latchkey } = scene;
    const client = await clientWith();
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    const resource = tenant.audience;
    const plain = await logIn(client, { scope: "offline_access orders:read", resource });
    expect([plain.id_token, (await refresh(client, plain.refresh_token)).id_token]).toEqual([undefined, undefined]);
    const first = await logIn(client, { scope: "openid offline_access orders:read", resource });
    const narrowed = await refresh(client, first.refresh_token, { scope: "orders:read" });
    expect([narrowed.scope, narrowed.id_token]).toEqual(["orders:read", undefined]);
    const whole = await refresh(client, narrowed.refresh_token ?? "");
    expect(claimsOf(whole.id_token ?? "").sub).toBe(claimsOf(first.id_token).sub);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["create:accounts:auth:refresh_token"]);
    const bearer = await tokenOf(latchkey, tenant.account_id, client);
    const about = { grant_type: "refresh_token", refresh_token: whole.refresh_token };
    const reply = await token(tenant, about, bearer);
    expect([reply.status, reply.body.error?.code], reply.text).toEqual([403, "unauthorized_client"]);
    expect(claimsOf((await refresh(client, whole.refresh_token ?? "")).id_token ?? "").sub).toBeTruthy();
  });

  it("names the session that the first one named, also where no browser has it, and none where that was not noted", async () => {
    const { tenant, latchkey } = scene;
    const client = await clientWith({ subject_type: "pairwise", refresh_without_offline_access: true });
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["openid"]);
    const { client_id } = client;
    const asked = { client_id, response_type: "code", scope: "openid", ...pkce };
    const verification_code = await mintCode(tenant, { client_id });
    const given = await authorize(tenant, { ...asked, verification_code });
    const code = new URL(given.headers.get("location") ?? "").searchParams.get("code") ?? "";
    const first = (await scene.redeem(code, client, { code_verifier: VERIFIER })).body;
    const { sid } = claimsOf(first.id_token);
    expect(sid).toBe(claimsOf(first.access_token).sid);
    const next = await refresh(client, first.refresh_token);
    expect(claimsOf(next.id_token ?? "").sid).toBe(sid);
    await latchkey.server.core.storage.write(async ({ db }) => {
      await db.updateTable("refresh_families").set({ session_id: null }).where("id", "=", sid).execute();
    });
    const unnoted = claimsOf((await refresh(client, next.refresh_token ?? "")).id_token ?? "");
    expect([unnoted.sub, "sid" in unnoted]).toEqual([claimsOf(first.id_token).sub, false]);
  });

  it("logs its person out, as the first one does", async () => {
    const client = await clientWith();
    const surfer = openSurfer(scene.latchkey);
    const first = await logIn(client, { scope: "openid offline_access" }, surfer);
    const { id_token = "" } = await refresh(client, first.refresh_token);
    const silent = scene.address(client, { prompt: "none" });
    expect(answered(await surfer.visit(silent)).get("code")).toBeTruthy();
    const shown = await surfer.visit(`${scene.tenant.issuer}/oauth/logout?id_token_hint=${id_token}`);
    expect([shown.status, shown.html.includes('name="confirm"')]).toEqual([200, false]);
    expect(answered(await surfer.visit(silent)).get("error")).toBe("login_required");
  });

  it("is another thing than what userinfo signs, which means nobody and logs nobody out", async () => {
    const { tenant, latchkey } = scene;
    const client = await clientWith({ userinfo_signed_response_alg: "RS256" });
    const surfer = openSurfer(latchkey);
    const { access_token } = await logIn(client, { scope: "openid" }, surfer);
    const { text: told } = await call(`${tenant.base}/oauth/userinfo`, { token: access_token });
    expect(claimsOf(told).sub).toBe(claimsOf(access_token).sub);
    const silent = (more: Readonly<Record<string, string>>) =>
      surfer.visit(scene.address(client, { prompt: "none", ...more }));
    expect(answered(await silent({ id_token_hint: told })).get("error")).toBe("invalid_request");
    await surfer.visit(`${tenant.issuer}/oauth/logout?id_token_hint=${told}`);
    expect(answered(await silent({})).get("code"), "still logged in").toBeTruthy();
  });
});
