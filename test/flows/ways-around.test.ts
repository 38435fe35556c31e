/** Ways around a rule of the standard surface, each by a door beside the one that keeps it: none of them leads anywhere. */
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openKey } from "../support/dpop.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  basic,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { logInAccountUser } from "../support/people.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { answered, pkce, standardClient, VERIFIER } from "../support/standard-client.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";

const AGENT = "https://agent.example/back";
const BYE = "https://shop.example/bye";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

describeOnBothEngines("ways around", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let web: Receiver;
  const documents = new Map<string, object>();
  beforeAll(async () => {
    web = await openReceiver(({ path }) => [
      documents.has(path) ? 200 : 404,
      JSON.stringify(documents.get(path) ?? {}),
    ]);
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey, { settings: { open_registration: true } });
  });
  afterAll(async () => {
    await latchkey.close();
    await web.close();
  });

  const register = (json: object) => call(`${tenant.base}/oauth/register`, { method: "POST", json });
  const clientWith = (settings: Parameters<typeof addClient>[2]) =>
    addClient(latchkey, tenant.account_id, { first_party: true, ...settings });

  it("give nobody a grant for what only the server's own codes are bound to", async () => {
    const { client_id } = await clientWith({});
    const audiences = ["password_reset:https://shop.example", "login:0190a1b2-7f03-7ebe-a90b-d762a13e660a", ""];
    for (const audience of audiences.map((one) => `urn:latchkey:${one}`)) {
      const json = { client_id, audience, scope: ["orders:read"] };
      const made = await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json });
      expect([made.status, made.body.error?.code, made.body.error?.message], audience).toEqual([
        ...[400, "invalid_request", "audience: must not begin with urn:latchkey:, which is the server's own"],
      ]);
    }
  });

  it("lead nobody from the logout to a client that nobody checked, unless they agreed to it", async () => {
    const { body } = await register({
      redirect_uris: [AGENT],
      post_logout_redirect_uris: ["https://agent.example/bye"],
    });
    const standard = standardClient(latchkey, tenant, body);
    const surfer = openSurfer(latchkey);
    const query = { client_id: body.client_id, post_logout_redirect_uri: "https://agent.example/bye" };
    const leave = `${tenant.issuer}/oauth/logout?${new URLSearchParams(query)}`;
    const led = await surfer.visit(leave);
    expect([led.status, led.url]).toEqual([200, leave]);
    const url = standard.address(body, { redirect_uri: AGENT, ...pkce });
    const code = answered(await surfer.logIn(url, tenant, await standard.someone())).get("code") ?? "";
    const form = { grant_type: "authorization_code", code, redirect_uri: AGENT, code_verifier: VERIFIER };
    const { id_token } = (await standard.token({ ...form, client_id: body.client_id }, null)).body;
    const agreed = await surfer.visit(`${leave}&id_token_hint=${id_token}`);
    expect(agreed.url).toBe("https://agent.example/bye");
    expect((await openSurfer(latchkey).visit(`${leave}&id_token_hint=${id_token}`)).status).toBe(200);
  });

  it("leave no native app waiting on another port than the one that a person agreed to it at", async () => {
    const { body } = await register({ redirect_uris: ["http://[::1]/back"] });
    const standard = standardClient(latchkey, tenant, body);
    const surfer = openSurfer(latchkey);
    const at = (port: number, more: Record<string, string>) =>
      standard.address(body, { redirect_uri: `http://[::1]:${port}/back`, ...pkce, ...more });
    const email = await standard.someone();
    const first = await surfer.logIn(at(50_001, { scope: "openid email" }), tenant, email);
    expect(answered(first).get("code")).toBeTruthy();
    const refused = await surfer.visit(at(50_002, { prompt: "none" }));
    expect([new URL(refused.url).host, answered(refused).get("error")]).toEqual(["[::1]:50002", "consent_required"]);
    const second = await surfer.act(await surfer.visit(at(50_002, {})), "allow");
    expect(answered(second).get("code")).toBeTruthy();
    const consents = latchkey.server.core.storage.read.selectFrom("consents").select("scope");
    const kept = await consents.where("account_id", "=", tenant.account_id).where("host", "=", "[::1]").execute();
    expect(
      kept.map(({ scope }) => JSON.parse(scope).toSorted()),
      "what both runs got",
    ).toEqual([["email", "openid"]]);
  });

  it("say nobody is logged out who is not: a form of another site comes without a cookie, and is asked again with it", async () => {
    const own = await clientWith({ post_logout_redirect_uris: [BYE] });
    const standard = standardClient(latchkey, tenant, own);
    const surfer = openSurfer(latchkey);
    const code = answered(await surfer.logIn(standard.address(), tenant, await standard.someone())).get("code") ?? "";
    const { id_token } = (await standard.redeem(code)).body;
    const form = { id_token_hint: id_token, post_logout_redirect_uri: BYE, state: "a b" };
    const headers = { "sec-fetch-site": "cross-site" };
    const sent = await call(`${tenant.base}/oauth/logout`, { method: "POST", headers, form });
    const again = sent.headers.get("location") ?? "";
    expect([sent.status, again.startsWith(`${tenant.issuer}/oauth/logout?`)]).toEqual([303, true]);
    expect([again.includes(id_token), again.includes("eyJ")], "no ID token in an address").toEqual([false, false]);
    expect((await surfer.visit(again)).url).toBe(`${BYE}?state=a%20b`);
    const silently = await surfer.visit(standard.address(own, { prompt: "none" }));
    expect(answered(silently).get("error")).toBe("login_required");
  });

  const sites = ["cross-site", "same-site", "none"];
  const cookieOf = ({ jar }: Surfer) => ({ cookie: [...jar].map((pair) => pair.join("=")).join("; ") });

  it("take back nothing that somebody else agreed to, nor by a form that another site sent", async () => {
    const third = await addClient(latchkey, tenant.account_id);
    const standard = standardClient(latchkey, tenant, third);
    const enter = async () => {
      const { id, email } = await addUser(latchkey, tenant.account_id);
      const surfer = openSurfer(latchkey);
      await surfer.logIn(standard.address(), tenant, email);
      const { html } = await surfer.visit(`${tenant.issuer}/login/consents`);
      const session = /name="session" value="([^"]+)"/.exec(html)?.[1] ?? "";
      const agreed = async () =>
        (await call(`${tenant.base}/customers/users/${id}/consents`, { token: tenant.token })).body;
      const take = async (session: string, from: Record<string, string> = {}) => {
        const headers = { ...cookieOf(surfer), ...from };
        const form = { client: third.id, session };
        return (await call(`${tenant.base}/login/consents`, { method: "POST", headers, form })).status;
      };
      return { session, agreed, take };
    };
    const [mine, theirs] = [await enter(), await enter()];
    const before = await theirs.agreed();
    expect(before).toMatchObject([{ client_id: third.id }]);
    expect(await mine.take(theirs.session)).toBe(403);
    for (const site of sites) expect(await theirs.take(theirs.session, { "sec-fetch-site": site }), site).toBe(403);
    expect([await theirs.agreed(), (await mine.agreed()).length]).toEqual([before, 1]);
    expect(await theirs.take(theirs.session, { "sec-fetch-site": "same-origin" })).toBe(303);
    expect([await theirs.agreed(), (await mine.agreed()).length]).toEqual([[], 1]);
  });

  it("do nothing on a page by a form that another site sent, whatever the browser has there", async () => {
    const own = await clientWith({});
    const surfer = openSurfer(latchkey);
    const login = await surfer.visit(standardClient(latchkey, tenant, own).address());
    const forms: [string, Record<string, string>][] = [
      [login.url.replace(tenant.issuer, ""), { action: "cancel" }],
      ["/device", { user_code: "BBBB-BBBB" }],
      ["/sandbox", {}],
    ];
    for (const [path, form] of forms) {
      const send = async (site: string) => {
        const headers = { ...cookieOf(surfer), "sec-fetch-site": site };
        return (await call(`${tenant.base}${path}`, { method: "POST", headers, form })).status;
      };
      for (const site of sites) expect(await send(site), `${path} ${site}`).toBe(403);
      expect(await send("same-origin"), path).not.toBe(403);
    }
  });

  it("send out no device codes for a client that nobody checked, whichever way it came", async () => {
    const grants = { redirect_uris: [AGENT], grant_types: ["authorization_code", DEVICE] };
    const { body } = await register({ redirect_uris: [AGENT] });
    const { registration_access_token: token, registration_client_uri: address } = body;
    const added = await call(address, { method: "PUT", token, json: grants });
    expect([added.status, added.body.grant_types]).toEqual([200, ["authorization_code"]]);
    const client_id = `${web.url}/device.json`;
    documents.set("/device.json", { client_id, ...grants });
    const about = { client_id, redirect_uri: AGENT, response_type: "code", scope: "openid", ...pkce };
    const shown = await openSurfer(latchkey).visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
    expect(shown.status).toBe(200);
    for (const id of [body.client_id, client_id]) {
      const form = { client_id: id, scope: "openid" };
      expect((await call(`${tenant.base}/oauth/device_authorization`, { method: "POST", form })).status).not.toBe(200);
    }
  });

  it("free no code from the key that pushed its request, signed or not", async () => {
    const keys = await generateKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256" }] };
    const own = await clientWith({ jwks });
    const standard = standardClient(latchkey, tenant, own);
    const key = await openKey(tenant.issuer);
    const asks = { response_type: "code", scope: "openid", redirect_uri: CALLBACK, ...pkce };
    const signed = (claims: object = {}) =>
      new SignJWT({ ...asks, ...claims })
        .setProtectedHeader({ alg: "ES256", kid: "1" })
        .setIssuer(own.client_id)
        .setAudience(tenant.issuer)
        .setExpirationTime("1m")
        .sign(keys.privateKey);
    const push = (form: Record<string, string>, dpop: string) =>
      call(`${tenant.base}/oauth/par`, { method: "POST", headers: { authorization: basic(own), dpop }, form });
    const proof = async (nonce: string) => key.proof({ nonce }, {}, "/oauth/par");
    const nonce = (await push(asks, await proof("none"))).headers.get("dpop-nonce") ?? "";
    for (const form of [asks, { request: await signed() }]) {
      const pushed = await push(form, await proof(nonce));
      expect(pushed.status, pushed.text).toBe(201);
      const about = { client_id: own.client_id, request_uri: pushed.body.request_uri };
      const url = `${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`;
      const shown = await openSurfer(latchkey).logIn(url, tenant, await standard.someone());
      const redeemed = await standard.redeem(answered(shown).get("code") ?? "", own, { code_verifier: VERIFIER });
      expect([redeemed.status, redeemed.body.error]).toEqual([400, "invalid_grant"]);
    }
    const another = await push({ request: await signed({ dpop_jkt: "A".repeat(43) }) }, await proof(nonce));
    expect([another.status, another.body.error]).toEqual([400, "invalid_dpop_proof"]);
  });

  it("exchange no bound token without its key, for the client that it was issued to", async () => {
    const own = await clientWith({ token_endpoint_auth_method: "none", grant_types: ["authorization_code", EXCHANGE] });
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
    const standard = standardClient(latchkey, tenant, own);
    const key = await openKey(tenant.issuer);
    const ask = (form: Record<string, string>, dpop?: string) =>
      call(`${tenant.base}/oauth/token`, {
        method: "POST",
        ...(dpop === undefined ? {} : { headers: { dpop } }),
        form: { client_id: own.client_id, ...form },
      });
    const code = await standard.codeFor(own, { resource: tenant.audience, ...pkce });
    const redeeming = { grant_type: "authorization_code", code, redirect_uri: CALLBACK, code_verifier: VERIFIER };
    const nonce = (await ask(redeeming, await key.proof())).headers.get("dpop-nonce") ?? "";
    const { access_token } = (await ask(redeeming, await key.proof({ nonce }))).body;
    const about = { subject_token: access_token, subject_token_type: ACCESS_TOKEN, audience: tenant.audience };
    const exchanging = { grant_type: EXCHANGE, ...about };
    const thief = await openKey(tenant.issuer);
    for (const dpop of [undefined, await thief.proof({ nonce })]) {
      const stolen = await ask(exchanging, dpop);
      expect([stolen.status, stolen.body.error]).toEqual([400, "invalid_request"]);
    }
    const exchanged = await ask(exchanging, await key.proof({ nonce }));
    expect([exchanged.status, exchanged.body.token_type], exchanged.text).toEqual([200, "DPoP"]);
  });

  it("end no login by a refresh that asked for too much: what is refused spends nothing", async () => {
    const grant_types = ["authorization_code", "refresh_token"] as const;
    const own = await clientWith({ grant_types: [...grant_types], refresh_without_offline_access: true });
    const standard = standardClient(latchkey, tenant, own);
    const { refresh_token } = (await standard.redeem(await standard.codeFor())).body;
    const refresh = (more: Record<string, string> = {}) =>
      standard.token({ grant_type: "refresh_token", refresh_token, ...more });
    for (let n = 0; n < 3; n++) expect((await refresh({ scope: "openid admin" })).body.error).toBe("invalid_scope");
    const refreshed = await refresh();
    expect(refreshed.status, refreshed.text).toBe(200);
  });

  it("lose no userinfo by a refresh that names openid among its scopes", async () => {
    const grant_types = ["authorization_code", "refresh_token"] as const;
    const own = await clientWith({ grant_types: [...grant_types], refresh_without_offline_access: true });
    const standard = standardClient(latchkey, tenant, own);
    const { refresh_token } = (await standard.redeem(await standard.codeFor(own, { scope: "openid profile email" })))
      .body;
    const form = { grant_type: "refresh_token", refresh_token, scope: "openid email" };
    const { access_token, scope } = (await standard.token(form)).body;
    expect(scope).toBe("openid email");
    const told = await call(`${tenant.base}/oauth/userinfo`, { token: access_token });
    expect([told.status, Object.keys(told.body)]).toEqual([200, ["sub", "email", "email_verified"]]);
  });

  it("end no login by a refresh that names a scope which the client's grant has lost since", async () => {
    const grant_types = ["authorization_code", "refresh_token"] as const;
    const own = await clientWith({ grant_types: [...grant_types], refresh_without_offline_access: true });
    const id = await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read", "orders:write"]);
    const standard = standardClient(latchkey, tenant, own);
    const scope = "openid orders:read orders:write";
    const redeemed = await standard.redeem(await standard.codeFor(own, { resource: tenant.audience, scope }));
    const json = { scope: ["orders:read"] };
    const grant = `${tenant.base}/auth/client-grants/${id}`;
    expect((await call(grant, { method: "PATCH", token: tenant.token, json })).status).toBe(200);
    let { refresh_token } = redeemed.body;
    for (let n = 0; n < 3; n++) {
      const refreshed = await standard.token({ grant_type: "refresh_token", refresh_token, scope });
      expect([refreshed.status, refreshed.body.scope], refreshed.text).toEqual([200, "openid orders:read"]);
      refresh_token = refreshed.body.refresh_token;
    }
  });

  it("give no token for another API than the one that was authorized, and spend nothing when they are asked for one", async () => {
    const grant_types = ["authorization_code", "refresh_token"] as const;
    const own = await clientWith({ grant_types: [...grant_types], refresh_without_offline_access: true });
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
    await addGrant(latchkey, tenant.account_id, own, "https://other.example", ["orders:read"]);
    const standard = standardClient(latchkey, tenant, own);
    const code = await standard.codeFor(own, { resource: tenant.audience });
    const redeeming = { grant_type: "authorization_code", code, redirect_uri: CALLBACK };
    const other = { resource: "https://other.example" };
    for (const named of [other, { ...other, audience: tenant.audience }])
      expect((await standard.token({ ...redeeming, ...named })).body.error).toBe("invalid_target");
    const { body } = await standard.token({ ...redeeming, resource: tenant.audience });
    const { refresh_token } = body;
    const refreshing = { grant_type: "refresh_token", refresh_token };
    expect((await standard.token({ ...refreshing, ...other })).body.error).toBe("invalid_target");
    const refreshed = await standard.token({ ...refreshing, resource: tenant.audience });
    expect(refreshed.status, refreshed.text).toBe(200);
  });

  it("give no answer where a class of login is essential that was not reached", async () => {
    const own = await clientWith({});
    const standard = standardClient(latchkey, tenant, own);
    const claims = (values: readonly string[], essential = true) =>
      JSON.stringify({ id_token: { acr: { essential, values } } });
    const ask = async (asked: string) => {
      const url = standard.address(own, { claims: asked });
      return answered(await openSurfer(latchkey).logIn(url, tenant, await standard.someone()));
    };
    for (const values of [["urn:latchkey:acr:2fa"], ["urn:nobody:knows"]]) {
      const answer = await ask(claims(values));
      expect([answer.get("error"), answer.get("code")], values[0]).toEqual(["unmet_authentication_requirements", null]);
      expect((await ask(claims(values, false))).get("code"), `${values[0]}, if possible`).toBeTruthy();
    }
    expect((await ask(claims(["urn:nobody:knows", "urn:latchkey:acr:1fa"]))).get("code")).toBeTruthy();
    expect((await ask(claims([]))).get("code"), "any will do").toBeTruthy();
    // Logged in already, with one factor: what is essential is asked for, whatever would do besides.
    const surfer = openSurfer(latchkey);
    await surfer.logIn(standard.address(own), tenant, await standard.someone());
    const wished = { acr_values: "urn:latchkey:acr:1fa" };
    expect(answered(await surfer.visit(standard.address(own, wished))).get("code")).toBeTruthy();
    const asked = standard.address(own, { ...wished, claims: claims(["urn:latchkey:acr:2fa"]) });
    expect((await surfer.visit(asked)).html).toContain('id="identifier"');
  });

  it("ask no person for more at the account API than the client's grant gives, however much they hold", async () => {
    const staff = await logInAccountUser(latchkey, tenant, { scope: ["admin:accounts", "admin:customers"] });
    const own = await clientWith({
      user_type: "account_user",
      grant_types: ["authorization_code", "refresh_token", DEVICE],
      refresh_without_offline_access: true,
    });
    await addGrant(latchkey, tenant.account_id, own, tenant.issuer, ["admin:customers"], "authorization_code");
    const standard = standardClient(latchkey, tenant, own);
    const ask = async (scope: string) => {
      const url = standard.address(own, { resource: tenant.issuer, scope: `openid ${scope}` });
      return answered(await openSurfer(latchkey).logIn(url, tenant, staff.email));
    };
    for (const scope of ["admin:accounts", "read:customers admin:accounts", "user:orders"]) {
      const visited = await openSurfer(latchkey).visit(
        standard.address(own, { resource: tenant.issuer, scope: `openid ${scope}` }),
      );
      expect(answered(visited).get("error"), scope).toBe("invalid_scope");
      const form = { client_id: own.client_id, resource: tenant.issuer, scope };
      const headers = { authorization: basic(own) };
      const device = await call(`${tenant.base}/oauth/device_authorization`, { method: "POST", headers, form });
      expect(device.body.error, scope).toBe("invalid_scope");
    }
    const within = await standard.redeem((await ask("read:customers")).get("code") ?? "");
    expect(within.body.scope).toBe("openid read:customers");
    const { refresh_token } = within.body;
    const refreshed = await standard.token({ grant_type: "refresh_token", refresh_token });
    expect(refreshed.body.scope, "and no less later on").toBe("openid read:customers");
  });
});
