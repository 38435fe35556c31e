/**
 * The modules of the OpenID certification profiles Basic and Form Post (the same ones, with response_mode=form_post)
 * and Config, each by its own name. docs/conformance.md lists them.
 */
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { engines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  basic,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  type Reply,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { pkce, VERIFIER } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";

type Fields = Readonly<Record<string, string>>;

const ways = engines.flatMap((engine) => (["query", "form_post"] as const).map((mode) => [engine, mode] as const));

describe.each(ways)("the OpenID provider (%s), with response_mode=%s:", (engine, response_mode) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let own: TestClient;
  let posting: TestClient;
  let user: { id: string; email: string; phone_number: string };
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    const settings = { first_party: true, grant_types: ["authorization_code" as const, "refresh_token" as const] };
    own = await addClient(latchkey, tenant.account_id, settings);
    posting = await addClient(latchkey, tenant.account_id, {
      ...settings,
      token_endpoint_auth_method: "client_secret_post",
    });
    user = await addUser(latchkey, tenant.account_id);
  });
  afterAll(() => latchkey.close());

  const about = (more: Fields = {}, client = own) => ({
    client_id: client.client_id,
    redirect_uri: CALLBACK,
    response_type: "code",
    scope: "openid",
    state: "a state",
    nonce: Math.random().toString(36),
    response_mode,
    ...more,
  });
  const url = (parameters: Fields) => `${tenant.issuer}/oauth/authorize?${new URLSearchParams(parameters)}`;

  /** What the callback gets, however it gets it. */
  function answer(shown: Shown): URLSearchParams {
    if (shown.url.startsWith(CALLBACK)) return new URL(shown.url).searchParams;
    expect(shown.html, shown.url).toContain(`action="${CALLBACK}"`);
    const fields = [...shown.html.matchAll(/name="([^"]+)" value="([^"]*)"/g)];
    return new URLSearchParams(fields.map(([, name = "", value = ""]): [string, string] => [name, value]));
  }
  async function logIn(more: Fields = {}, client = own, surfer = openSurfer(latchkey), who = user) {
    const parameters = about(more, client);
    const got = answer(await surfer.logIn(url(parameters), tenant, who.email));
    expect([got.get("state"), got.get("iss")]).toEqual([parameters.state, tenant.issuer]);
    return { code: got.get("code") ?? "", parameters, surfer };
  }
  const redeem = (code: string, more: Fields = {}): Promise<Reply> =>
    call(`${tenant.base}/oauth/token`, {
      method: "POST",
      headers: { authorization: basic(own) },
      form: { grant_type: "authorization_code", code, redirect_uri: CALLBACK, ...more },
    });
  async function idToken(reply: Reply, client = own) {
    expect(reply.status, reply.text).toBe(200);
    const keys = createLocalJWKSet((await call(`${tenant.base}/oauth/jwks.json`)).body);
    const options = { issuer: tenant.issuer, audience: client.client_id };
    return jwtVerify(reply.body.id_token, keys, options);
  }
  /** People need another code than the last one within its half life; so each module has somebody of its own. */
  const somebody = async () => {
    user = await addUser(latchkey, tenant.account_id);
    return user;
  };
  const claimsFor = async (scope: string, more: Fields = {}) => {
    await somebody();
    const { code } = await logIn({ scope, ...more });
    const tokens = await redeem(code);
    const told = await call(`${tenant.base}/oauth/userinfo`, { token: tokens.body.access_token });
    return { id: (await idToken(tokens)).payload, told: told.body };
  };

  it("oidcc-server", async () => {
    await somebody();
    const { code, parameters } = await logIn();
    const reply = await redeem(code);
    expect(reply.body).toMatchObject({ token_type: "Bearer", expires_in: expect.any(Number) });
    const { payload, protectedHeader } = await idToken(reply);
    expect(protectedHeader.alg).toBe("RS256");
    expect(protectedHeader.kid).toBeTruthy();
    expect(payload).toMatchObject({ sub: user.id, nonce: parameters.nonce, azp: own.client_id });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBeGreaterThan(0);
  });

  it("oidcc-idtoken-signature", async () => {
    await somebody();
    const { protectedHeader } = await idToken(await redeem((await logIn()).code));
    const { keys } = (await call(`${tenant.base}/oauth/jwks.json`)).body;
    expect(keys.filter((key: { kid: string }) => key.kid === protectedHeader.kid)).toMatchObject([{ alg: "RS256" }]);
  });

  it("oidcc-idtoken-unsigned", async () => {
    const { body } = await call(`${tenant.base}/.well-known/openid-configuration`);
    expect(body.id_token_signing_alg_values_supported).not.toContain("none");
    const json = { redirect_uris: [CALLBACK], id_token_signed_response_alg: "none" };
    const refused = await call(`${tenant.base}/oauth/register`, { method: "POST", token: tenant.token, json });
    expect([refused.status, refused.body.error]).toEqual([400, "invalid_client_metadata"]);
  });

  it("oidcc-response-type-missing", async () => {
    const { response_type: _none, ...rest } = about();
    expect(answer(await openSurfer(latchkey).visit(url(rest))).get("error")).toBe("invalid_request");
  });

  it("oidcc-userinfo-get", async () => {
    const { told } = await claimsFor("openid");
    expect(told.sub).toBe(user.id);
  });

  it("oidcc-userinfo-post-header", async () => {
    await somebody();
    const { access_token } = (await redeem((await logIn()).code)).body;
    const told = await call(`${tenant.base}/oauth/userinfo`, { method: "POST", token: access_token });
    expect(told.body.sub).toBe(user.id);
  });

  it("oidcc-userinfo-post-body", async () => {
    await somebody();
    const { access_token } = (await redeem((await logIn()).code)).body;
    const told = await call(`${tenant.base}/oauth/userinfo`, { method: "POST", form: { access_token } });
    expect(told.body.sub).toBe(user.id);
    const twice = await call(`${tenant.base}/oauth/userinfo`, {
      ...{ method: "POST", token: access_token },
      form: { access_token },
    });
    expect(twice.status).toBe(400);
  });

  it("oidcc-ensure-request-without-nonce-succeeds-for-code-flow", async () => {
    await somebody();
    const { nonce: _none, ...rest } = about();
    const got = answer(await openSurfer(latchkey).logIn(url(rest), tenant, user.email));
    expect((await idToken(await redeem(got.get("code") ?? ""))).payload).not.toHaveProperty("nonce");
  });

  it("oidcc-scope-profile", async () => {
    expect((await claimsFor("openid profile")).told).toMatchObject({ name: "Ada Example" });
  });
  it("oidcc-scope-email", async () => {
    expect((await claimsFor("openid email")).told).toMatchObject({ email: user.email, email_verified: true });
  });
  it("oidcc-scope-address", async () => {
    expect((await claimsFor("openid address")).told.sub).toBe(user.id);
  });
  it("oidcc-scope-phone", async () => {
    const { told } = await claimsFor("openid phone");
    expect(told).toMatchObject({ phone_number: user.phone_number, phone_number_verified: true });
  });
  it("oidcc-scope-all", async () => {
    const { told } = await claimsFor("openid profile email address phone");
    expect(told).toMatchObject({ name: "Ada Example", email: user.email, phone_number: user.phone_number });
  });
  it("oidcc-ensure-other-scope-order-succeeds", async () => {
    expect((await claimsFor("email openid")).told).toMatchObject({ email: user.email });
  });

  const showsLogin = async (more: Fields, surfer: Surfer = openSurfer(latchkey)) => {
    const shown = await surfer.visit(url(about(more)));
    expect([shown.status, shown.html.includes('value="identify"')]).toEqual([200, true]);
    return shown;
  };
  it("oidcc-display-page", async () => void (await showsLogin({ display: "page" })));
  it("oidcc-display-popup", async () => void (await showsLogin({ display: "popup" })));

  it("oidcc-prompt-login", async () => {
    await somebody();
    const { code, surfer } = await logIn();
    const first = (await idToken(await redeem(code))).payload;
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const again = await logIn({ prompt: "login" }, own, surfer);
    const second = (await idToken(await redeem(again.code))).payload;
    expect(Number(second.auth_time)).toBeGreaterThan(Number(first.auth_time));
    expect(second.sub).toBe(first.sub);
  });

  it("oidcc-prompt-none-not-logged-in", async () => {
    const got = answer(await openSurfer(latchkey).visit(url(about({ prompt: "none" }))));
    expect(got.get("error")).toBe("login_required");
  });

  it("oidcc-prompt-none-logged-in", async () => {
    await somebody();
    const { code, surfer } = await logIn();
    const first = (await idToken(await redeem(code))).payload;
    const got = answer(await surfer.visit(url(about({ prompt: "none" }))));
    const second = (await idToken(await redeem(got.get("code") ?? ""))).payload;
    expect([second.sub, second.auth_time]).toEqual([first.sub, first.auth_time]);
  });

  it("oidcc-max-age-1", async () => {
    await somebody();
    const { surfer, code } = await logIn();
    const first = (await idToken(await redeem(code))).payload;
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    const again = await logIn({ max_age: "1" }, own, surfer);
    const second = (await idToken(await redeem(again.code))).payload;
    expect(Number(second.auth_time)).toBeGreaterThan(Number(first.auth_time));
  });

  it("oidcc-max-age-10000", async () => {
    await somebody();
    const { surfer, code } = await logIn();
    const first = (await idToken(await redeem(code))).payload;
    const got = answer(await surfer.visit(url(about({ max_age: "10000" }))));
    expect((await idToken(await redeem(got.get("code") ?? ""))).payload.auth_time).toBe(first.auth_time);
  });

  it("oidcc-ensure-request-with-unknown-parameter-succeeds", async () => {
    await somebody();
    expect((await logIn({ extra: "foobar" })).code).toBeTruthy();
  });

  it("oidcc-id-token-hint", async () => {
    await somebody();
    const { surfer, code } = await logIn();
    const id_token_hint = (await redeem(code)).body.id_token;
    const got = answer(await surfer.visit(url(about({ prompt: "none", id_token_hint }))));
    expect((await idToken(await redeem(got.get("code") ?? ""))).payload.sub).toBe(user.id);
  });

  it("oidcc-login-hint", async () => {
    expect((await showsLogin({ login_hint: "bob@example.com" })).html).toContain('value="bob@example.com"');
  });
  it("oidcc-ui-locales", async () => {
    expect((await showsLogin({ ui_locales: "se nb" })).html).toContain('<html lang="nb">');
  });
  it("oidcc-claims-locales", async () => void (await showsLogin({ claims_locales: "se" })));

  it("oidcc-ensure-request-with-acr-values-succeeds", async () => {
    const { id } = await claimsFor("openid", { acr_values: "urn:nobody:knows urn:latchkey:acr:1fa" });
    expect(id.acr).toBe("urn:latchkey:acr:1fa");
  });

  it("oidcc-codereuse", async () => {
    await somebody();
    const { code } = await logIn();
    expect((await redeem(code)).status).toBe(200);
    expect((await redeem(code)).body.error).toBe("invalid_grant");
  });

  it("oidcc-codereuse-30seconds", async () => {
    await somebody();
    const { code } = await logIn();
    const { access_token } = (await redeem(code)).body;
    expect((await redeem(code)).body.error).toBe("invalid_grant");
    // What the first use gave is worth nothing from then on, however long one waits.
    expect((await call(`${tenant.base}/oauth/userinfo`, { token: access_token })).status).toBe(401);
  });

  it("oidcc-ensure-registered-redirect-uri", async () => {
    const shown = await openSurfer(latchkey).visit(url(about({ redirect_uri: `${CALLBACK}/not-registered` })));
    expect([shown.status, shown.html.includes("not registered")]).toEqual([400, true]);
  });

  it("oidcc-ensure-post-request-succeeds", async () => {
    await somebody();
    const surfer = openSurfer(latchkey);
    const page = await surfer.visit(`${tenant.issuer}/oauth/authorize`, about());
    const waiting = await surfer.act(page, "identify", { identifier: user.email });
    const code = (await inbox(tenant, user.email))[0]?.verification_code ?? "";
    expect(answer(await surfer.act(waiting, "code", { code })).get("code")).toBeTruthy();
    const silent = answer(await surfer.visit(`${tenant.issuer}/oauth/authorize`, about({ prompt: "none" })));
    expect(silent.get("code")).toBeTruthy();
  });

  it("oidcc-server-client-secret-post", async () => {
    await somebody();
    const { code } = await logIn({}, posting);
    const { client_id, client_secret } = posting;
    const form = { grant_type: "authorization_code", code, redirect_uri: CALLBACK, client_id, client_secret };
    const reply = await call(`${tenant.base}/oauth/token`, { method: "POST", form });
    expect((await idToken(reply, posting)).payload.sub).toBe(user.id);
  });

  it("oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", async () => {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const request = `${encode({ alg: "none" })}.${encode({ ...about(), iss: own.client_id, aud: tenant.issuer })}.`;
    const shown = await openSurfer(latchkey).visit(url(about({ request })));
    expect([shown.status, shown.html.includes("request object is not valid")]).toEqual([400, true]);
  });

  it("oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", async () => {
    const request_uri = "https://rp.example/request.jwt";
    const got = answer(await openSurfer(latchkey).visit(url(about({ request_uri }))));
    expect([got.get("error"), got.get("state")]).toEqual(["request_uri_not_supported", "a state"]);
  });

  it("oidcc-claims-essential", async () => {
    const claims = JSON.stringify({ userinfo: { name: { essential: true } } });
    expect((await claimsFor("openid", { claims })).told).toMatchObject({ name: "Ada Example" });
  });

  it("oidcc-ensure-request-object-with-redirect-uri", async () => {
    await somebody();
    const { privateKey, publicKey } = await generateKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "1", alg: "ES256" }] };
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, jwks });
    const { redirect_uri, ...rest } = about({}, client);
    const request = await new SignJWT({ ...rest, redirect_uri })
      .setProtectedHeader({ alg: "ES256", kid: "1" })
      .setIssuer(client.client_id)
      .setAudience(tenant.issuer)
      .setExpirationTime("1m")
      .sign(privateKey);
    const beside = { ...rest, redirect_uri: `${CALLBACK}/not-registered`, request };
    const got = answer(await openSurfer(latchkey).logIn(url(beside), tenant, user.email));
    expect(got.get("code")).toBeTruthy();
  });

  it("oidcc-refresh-token", async () => {
    await somebody();
    const { code } = await logIn({ scope: "openid offline_access", prompt: "consent" });
    const { refresh_token, id_token } = (await redeem(code)).body;
    const next = await call(`${tenant.base}/oauth/token`, {
      method: "POST",
      headers: { authorization: basic(own) },
      form: { grant_type: "refresh_token", refresh_token },
    });
    expect(next.body.access_token).toBeTruthy();
    const [before, after] = [claimsOf(id_token), claimsOf(next.body.id_token)];
    for (const name of ["iss", "sub", "aud", "azp", "auth_time"]) expect(after[name], name).toEqual(before[name]);
    expect(after.iat).toBeGreaterThanOrEqual(before.iat);
    expect(after.nonce).toBeUndefined();
    const theirs = await call(`${tenant.base}/oauth/token`, {
      method: "POST",
      form: {
        grant_type: "refresh_token",
        refresh_token: next.body.refresh_token,
        client_id: posting.client_id,
        client_secret: posting.client_secret,
      },
    });
    expect(theirs.body.error).toBe("invalid_grant");
  });

  it("oidcc-ensure-request-with-valid-pkce-succeeds", async () => {
    await somebody();
    const { code } = await logIn(pkce);
    expect((await redeem(code, { code_verifier: VERIFIER })).status).toBe(200);
  });

  it("oidcc-discovery-endpoint-verification", async () => {
    const { body, headers } = await call(`${tenant.base}/.well-known/openid-configuration`);
    expect(headers.get("content-type")).toContain("application/json");
    expect(body.issuer).toBe(tenant.issuer);
    for (const name of ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"])
      expect(body[name], name).toMatch(/^http/);
    expect(body).toMatchObject({
      response_types_supported: ["code"],
      subject_types_supported: expect.arrayContaining(["public"]),
      id_token_signing_alg_values_supported: expect.arrayContaining(["RS256"]),
      scopes_supported: expect.arrayContaining(["openid"]),
      claims_supported: expect.arrayContaining(["sub"]),
      claims_parameter_supported: true,
      request_uri_parameter_supported: false,
    });
    const { keys } = (await call(`${tenant.base}/oauth/jwks.json`)).body;
    expect(keys.every((key: Record<string, unknown>) => key.kid && key.alg && !("d" in key))).toBe(true);
  });
});
