/** A standard client, unchanged, against a live server: everything here goes through openid-client. */
import { exportJWK, generateKeyPair } from "jose";
import * as client from "openid-client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  CALLBACK,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { openSurfer } from "../support/surfer.ts";

const LOGOUT = "https://shop.example/bye";
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";

describeOnBothEngines("openid-client", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let web: TestClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    web = await addClient(latchkey, tenant.account_id, {
      grant_types: ["authorization_code", "refresh_token", "client_credentials"],
      post_logout_redirect_uris: [LOGOUT],
    });
  });
  afterAll(() => latchkey.close());

  /** The public address is not where this server listens. */
  const reach: client.CustomFetch = (url, options) =>
    fetch(url.replace(latchkey.config.public_url, latchkey.url), options as RequestInit);
  const discover = async (
    own: Pick<TestClient, "client_id" | "client_secret">,
    auth: client.ClientAuth = client.ClientSecretBasic(own.client_secret),
    metadata: Partial<client.ClientMetadata> = {},
  ) => {
    const options = { execute: [client.allowInsecureRequests], [client.customFetch]: reach };
    return client.discovery(new URL(tenant.issuer), own.client_id, metadata, auth, options);
  };

  async function logIn(
    config: client.Configuration,
    parameters: Record<string, string> = {},
    surfer = openSurfer(latchkey),
  ) {
    const user = await addUser(latchkey, tenant.account_id);
    const verifier = client.randomPKCECodeVerifier();
    const code_challenge = await client.calculatePKCECodeChallenge(verifier);
    const [state, nonce] = [client.randomState(), client.randomNonce()];
    const pkce = { code_challenge, code_challenge_method: "S256" };
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: CALLBACK,
      scope: "openid email profile",
      state,
      nonce,
      ...pkce,
      ...parameters,
    });
    const shown = await surfer.logIn(url.href, tenant, user.email);
    const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true };
    const tokens = await client.authorizationCodeGrant(config, new URL(shown.url), checks);
    return { tokens, shown, surfer, url, user };
  }

  it("discovers, logs in with PKCE, state, nonce and iss, and reads userinfo", async () => {
    const config = await discover(web);
    expect(config.serverMetadata().issuer).toBe(tenant.issuer);
    const { tokens, shown, user } = await logIn(config);
    expect(shown.status).toBe(303);
    expect(new URL(shown.url).searchParams.get("iss")).toBe(tenant.issuer);
    expect(tokens.claims()).toMatchObject({
      sub: user.id,
      email: user.email,
      email_verified: true,
      name: "Ada Example",
      amr: ["otp"],
      azp: web.client_id,
    });
    const told = await client.fetchUserInfo(config, tokens.access_token, user.id);
    expect(told).toMatchObject({ sub: user.id, email: user.email, name: "Ada Example" });
    expect(tokens.refresh_token).toBeUndefined();
  });

  it("refreshes where offline_access was granted, never wider, and reuse ends it", async () => {
    const config = await discover(web);
    const { tokens } = await logIn(config, { scope: "openid email offline_access" });
    const first = tokens.refresh_token ?? "";
    const second = await client.refreshTokenGrant(config, first);
    expect(second.access_token).not.toBe(tokens.access_token);
    expect(second.refresh_token).not.toBe(first);
    await expect(
      client.refreshTokenGrant(config, second.refresh_token ?? "", { scope: "openid phone" }),
    ).rejects.toMatchObject({ error: "invalid_scope" });
    const third = await client.refreshTokenGrant(config, second.refresh_token ?? "");
    const isActive = async (token: string) => (await client.tokenIntrospection(config, token)).active;
    expect(await isActive(third.access_token)).toBe(true);
    for (const token of [first, third.refresh_token ?? ""])
      await expect(client.refreshTokenGrant(config, token)).rejects.toMatchObject({ error: "invalid_grant" });
    expect(await isActive(third.access_token)).toBe(false);
  });

  it("introspects and revokes its own tokens alone", async () => {
    const config = await discover(web);
    const other = await discover(await addClient(latchkey, tenant.account_id));
    const { tokens, user } = await logIn(config, { scope: "openid offline_access" });
    const answer = await client.tokenIntrospection(config, tokens.access_token);
    expect(answer).toMatchObject({ active: true, sub: user.id, client_id: web.client_id, token_type: "Bearer" });
    expect(await client.tokenIntrospection(other, tokens.access_token)).toEqual({ active: false });
    expect(await client.tokenIntrospection(config, tokens.refresh_token ?? "")).toMatchObject({ active: true });
    const foreign = client.tokenRevocation(other, tokens.refresh_token ?? "");
    await expect(foreign).rejects.toMatchObject({ error: "invalid_grant" });
    expect(await client.tokenIntrospection(config, tokens.refresh_token ?? "")).toMatchObject({ active: true });
    await client.tokenRevocation(config, tokens.refresh_token ?? "");
    expect(await client.tokenIntrospection(config, tokens.refresh_token ?? "")).toEqual({ active: false });
    expect(await client.tokenIntrospection(config, tokens.access_token)).toEqual({ active: false });
  });

  it("pushes its request, whose request_uri works once and for it alone", async () => {
    const config = await discover(web);
    const verifier = client.randomPKCECodeVerifier();
    const code_challenge = await client.calculatePKCECodeChallenge(verifier);
    const parameters = {
      redirect_uri: CALLBACK,
      scope: "openid",
      code_challenge,
      code_challenge_method: "S256",
      state: "s",
    };
    const url = await client.buildAuthorizationUrlWithPAR(config, parameters);
    expect(url.searchParams.get("request_uri")).toMatch(/^urn:ietf:params:oauth:request_uri:/);
    const foreign = await addClient(latchkey, tenant.account_id);
    const stolen = new URL(url);
    stolen.searchParams.set("client_id", foreign.client_id);
    expect((await openSurfer(latchkey).visit(stolen.href)).status).toBe(400);
    const shown = await openSurfer(latchkey).logIn(url.href, tenant);
    const tokens = await client.authorizationCodeGrant(config, new URL(shown.url), {
      pkceCodeVerifier: verifier,
      expectedState: "s",
    });
    expect(tokens.claims()?.sub).toBe(tenant.user.id);
    expect((await openSurfer(latchkey).visit(url.href)).status).toBe(400);
  });

  it("authenticates with a key instead of a secret, each assertion once", async () => {
    const keys = await generateKeyPair("ES256");
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256", use: "sig" };
    const settings = { token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [jwk] } } as const;
    const brought = "a secret that it brought along from elsewhere";
    const own = await addClient(latchkey, tenant.account_id, settings, undefined, brought);
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"], "client_credentials");
    const config = await discover(own, client.PrivateKeyJwt({ key: keys.privateKey, kid: "1" }));
    let again = () => reach("", {} as client.CustomFetchOptions);
    config[client.customFetch] = (...request) => {
      again = () => reach(...request);
      return again();
    };
    const tokens = await client.clientCredentialsGrant(config, { resource: tenant.audience });
    expect(tokens.scope).toBe("orders:read");
    const replayed = await again();
    expect([replayed.status, await replayed.json()]).toMatchObject([401, { error: "invalid_client" }]);
    const by_secret = await discover(own, client.ClientSecretBasic(own.client_secret));
    await expect(client.clientCredentialsGrant(by_secret, { resource: tenant.audience })).rejects.toMatchObject({
      status: 401,
    });
    const others = await generateKeyPair("ES256");
    const forged = await discover(own, client.PrivateKeyJwt({ key: others.privateKey, kid: "1" }));
    await expect(client.clientCredentialsGrant(forged, { resource: tenant.audience })).rejects.toMatchObject({
      error: "invalid_client",
    });
  });

  it("signs its request, and nothing beside the signed one counts", async () => {
    const keys = await generateKeyPair("ES256");
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256", use: "sig" };
    const own = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      require_signed_request_object: true,
      jwks: { keys: [jwk] },
    });
    const config = await discover(own);
    const about = { redirect_uri: CALLBACK, scope: "openid", state: "signed", max_age: "600", response_mode: "query" };
    const key = { key: keys.privateKey, kid: "1" };
    const url = await client.buildAuthorizationUrlWithJAR(config, about, key);
    url.searchParams.set("state", "crafted");
    url.searchParams.set("response_mode", "fragment");
    const shown = await openSurfer(latchkey).logIn(
      url.href,
      tenant,
      (await addUser(latchkey, tenant.account_id)).email,
    );
    const tokens = await client.authorizationCodeGrant(config, new URL(shown.url), { expectedState: "signed" });
    expect(tokens.claims()?.sub).toBeDefined();
    const pushed = await client.buildAuthorizationUrlWithPAR(
      config,
      Object.fromEntries((await client.buildAuthorizationUrlWithJAR(config, about, key)).searchParams),
    );
    expect((await openSurfer(latchkey).visit(pushed.href)).status).toBe(200);
    const bare = await openSurfer(latchkey).visit(client.buildAuthorizationUrl(config, about).href);
    expect([bare.status, bare.html.includes("this client signs its requests")]).toEqual([400, true]);
    const others = { key: (await generateKeyPair("ES256")).privateKey, kid: "1" };
    const forged = await client.buildAuthorizationUrlWithJAR(config, about, others);
    expect((await openSurfer(latchkey).visit(forged.href)).status).toBe(400);
  });

  it("tells single claims, signs userinfo, and calls a person otherwise in each sector", async () => {
    const own = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      grant_types: ["authorization_code", "refresh_token"],
      refresh_without_offline_access: true,
      subject_type: "pairwise",
      userinfo_signed_response_alg: "ES256",
    });
    const config = await discover(own, client.ClientSecretBasic(own.client_secret), {
      userinfo_signed_response_alg: "ES256",
    });
    const claims = JSON.stringify({ id_token: { email: null, nobody_knows: null }, userinfo: { name: null } });
    const { tokens, user, surfer } = await logIn(config, { scope: "openid", claims });
    const sub = tokens.claims()?.sub ?? "";
    expect(sub).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(tokens.claims()).toMatchObject({ email: user.email });
    expect(tokens.claims()).not.toHaveProperty("name");
    const told = await client.fetchUserInfo(config, tokens.access_token, sub);
    expect(told).toMatchObject({ sub, name: "Ada Example" });
    expect(told).not.toHaveProperty("email");
    const next = await client.refreshTokenGrant(config, tokens.refresh_token ?? "");
    expect(await client.fetchUserInfo(config, next.access_token, sub)).toMatchObject({ sub, name: "Ada Example" });
    expect(await client.tokenIntrospection(config, next.access_token)).toMatchObject({ active: true, sub });
    const elsewhere = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      subject_type: "pairwise",
      callbacks: ["https://other.example/back"],
    });
    const other = await discover(elsewhere);
    const url = client.buildAuthorizationUrl(other, {
      redirect_uri: "https://other.example/back",
      scope: "openid",
      prompt: "none",
      id_token_hint: tokens.id_token ?? "",
    });
    const again = await client.authorizationCodeGrant(other, new URL((await surfer.visit(url.href)).url));
    expect(again.claims()?.sub).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(again.claims()?.sub).not.toBe(sub);
  });

  it("binds tokens to a key, which alone may use and refresh them", async () => {
    const own = await addClient(latchkey, tenant.account_id, {
      token_endpoint_auth_method: "none",
      dpop_bound_access_tokens: true,
      grant_types: ["authorization_code", "refresh_token"],
    });
    const config = await discover(own, client.None());
    const bound = async () => {
      const keys = await client.randomDPoPKeyPair("ES256");
      return { keys, DPoP: client.getDPoPHandle(config, keys) };
    };
    const [mine, theirs] = [await bound(), await bound()];
    const user = await addUser(latchkey, tenant.account_id);
    const verifier = client.randomPKCECodeVerifier();
    const pkce = {
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    };
    const dpop_jkt = await mine.DPoP.calculateThumbprint();
    const about = { redirect_uri: CALLBACK, scope: "openid offline_access", dpop_jkt, ...pkce };
    const log = async () => {
      const url = client.buildAuthorizationUrl(config, about);
      return new URL((await openSurfer(latchkey).logIn(url.href, tenant, user.email)).url);
    };
    const checks = { pkceCodeVerifier: verifier };
    await expect(client.authorizationCodeGrant(config, await log(), checks)).rejects.toMatchObject({
      error: "invalid_dpop_proof",
    });
    await expect(
      client.authorizationCodeGrant(config, await log(), checks, undefined, { DPoP: theirs.DPoP }),
    ).rejects.toMatchObject({ error: "invalid_grant" });
    const tokens = await client.authorizationCodeGrant(config, await log(), checks, undefined, { DPoP: mine.DPoP });
    expect(tokens.token_type).toBe("dpop");
    expect((await client.fetchUserInfo(config, tokens.access_token, user.id, { DPoP: mine.DPoP })).sub).toBe(user.id);
    const refused = (scheme: string) => ({
      status: 401,
      cause: [{ scheme, parameters: { error: "invalid_token" } }],
    });
    await expect(
      client.fetchUserInfo(config, tokens.access_token, user.id, { DPoP: theirs.DPoP }),
    ).rejects.toMatchObject(refused("dpop"));
    await expect(client.fetchUserInfo(config, tokens.access_token, user.id)).rejects.toMatchObject(refused("bearer"));
    const refresh = tokens.refresh_token ?? "";
    await expect(client.refreshTokenGrant(config, refresh, {}, { DPoP: theirs.DPoP })).rejects.toMatchObject({
      error: "invalid_grant",
    });
    const next = await client.refreshTokenGrant(config, refresh, {}, { DPoP: mine.DPoP });
    expect(next.token_type).toBe("dpop");
  });

  it("lets a device in that somebody allows on a page, and turns away one that is refused", async () => {
    const own = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      token_endpoint_auth_method: "none",
      grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
    });
    const config = await discover(own, client.None());
    const begin = () => client.initiateDeviceAuthorization(config, { scope: "openid email offline_access" });
    const user = await addUser(latchkey, tenant.account_id);
    const surfer = openSurfer(latchkey);
    const begun = await begin();
    expect(begun.user_code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
    const page = await surfer.visit(begun.verification_uri_complete ?? "");
    expect(page.html).toContain(begun.user_code);
    const polling = client.pollDeviceAuthorizationGrant(config, { ...begun, interval: 1 });
    const wrong = await surfer.visit(begun.verification_uri, { user_code: "BBBB-BBBB" });
    expect(wrong.html).toContain("No device is waiting");
    const typed = begun.user_code.toLowerCase().replace("-", " ");
    const login = await surfer.visit(begun.verification_uri, { user_code: typed });
    const waiting = await surfer.act(login, "identify", { identifier: user.email });
    const [message] = await inbox(tenant, user.email);
    const asked = await surfer.act(waiting, "code", { code: message?.verification_code ?? "" });
    expect(asked.html).toContain("Go on only if you began this yourself");
    expect((await surfer.act(asked, "allow")).html).toContain("The device is connected");
    const tokens = await polling;
    expect(tokens.claims()).toMatchObject({ sub: user.id, email: user.email, azp: own.client_id });
    expect(tokens.refresh_token).toBeDefined();
    await expect(client.pollDeviceAuthorizationGrant(config, { ...begun, interval: 1 })).rejects.toMatchObject({
      error: "invalid_grant",
    });
    const second = await begin();
    const again = await surfer.visit(second.verification_uri, { user_code: second.user_code });
    expect((await surfer.act(again, "deny")).html).toContain("The device was refused");
    await expect(client.pollDeviceAuthorizationGrant(config, { ...second, interval: 1 })).rejects.toMatchObject({
      error: "access_denied",
    });
  }, 30_000);

  it("exchanges a token that it holds for a narrower one", async () => {
    const own = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      grant_types: ["authorization_code", EXCHANGE],
      default_audience: tenant.audience,
    });
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read", "orders:write"]);
    await addGrant(latchkey, tenant.account_id, own, "https://stock.example", ["orders:read", "stock:read"]);
    const config = await discover(own);
    const { tokens, user } = await logIn(config, { scope: "openid orders:read" });
    const about = {
      subject_token: tokens.access_token,
      subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
      audience: "https://stock.example",
    };
    const exchanged = await client.genericGrantRequest(config, EXCHANGE, about);
    const claims = claimsOf(exchanged.access_token);
    expect(claims).toMatchObject({
      sub: user.id,
      aud: "https://stock.example",
      scope: "orders:read",
      act: { sub: own.id },
    });
    await expect(client.genericGrantRequest(config, EXCHANGE, { ...about, scope: "stock:read" })).rejects.toMatchObject(
      { error: "invalid_scope" },
    );
    await expect(
      client.genericGrantRequest(config, EXCHANGE, { ...about, audience: tenant.issuer }),
    ).rejects.toMatchObject({ error: "invalid_target" });
    const stranger = await discover(web);
    await expect(client.genericGrantRequest(stranger, EXCHANGE, about)).rejects.toMatchObject({
      error: "unauthorized_client",
    });
  });

  it("logs out: at once with the ID token, everything of that session ends, and the browser goes on", async () => {
    const config = await discover(web);
    const { tokens, surfer, url } = await logIn(config, { scope: "openid offline_access" });
    const silent = new URL(url);
    silent.searchParams.set("prompt", "none");
    expect(new URL((await surfer.visit(silent.href)).url).searchParams.get("code")).toBeTruthy();
    const end = client.buildEndSessionUrl(config, {
      id_token_hint: tokens.id_token ?? "",
      post_logout_redirect_uri: LOGOUT,
      state: "bye",
    });
    const shown = await surfer.visit(end.href);
    expect(shown.url).toBe(`${LOGOUT}?state=bye`);
    expect(await client.tokenIntrospection(config, tokens.access_token)).toEqual({ active: false });
    await expect(client.refreshTokenGrant(config, tokens.refresh_token ?? "")).rejects.toMatchObject({
      error: "invalid_grant",
    });
    expect(new URL((await surfer.visit(silent.href)).url).searchParams.get("error")).toBe("login_required");
  });
});
