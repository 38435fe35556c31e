/** What passes through browsers, devices and standard clients (cookies, short codes, codes of others) is found nowhere else. */
import { randomInt, randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openLogger } from "../../src/telemetry/log.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  basic,
  CALLBACK,
  type CallOptions,
  call,
  createTenant,
  inbox,
  type Latchkey,
  type Reply,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { findLeaks, readDatabase, readFiles } from "../support/leaks.ts";
import { addPerson, logInAccountUser, oneTimePassword, token } from "../support/people.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";
import { openUpstream, type Upstream } from "../support/upstream.ts";

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

describeOnBothEngines("what browsers, devices and standard clients carry", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let own: TestClient;
  let standard: StandardClient;
  let upstream: Upstream;
  let collector: Receiver;
  const logs: string[] = [];
  const errors: string[] = [];
  const issued = new Map<string, string>();
  /** Names a row, which the database has to know; it is told to nobody else. */
  const passing = new Map<string, string>();

  beforeAll(async () => {
    collector = await openReceiver();
    latchkey = await startLatchkey(engine, {
      log: openLogger("trace", { write: (line) => void logs.push(line) }),
      env: { EGRESS_ALLOW: "127.0.0.0/8", OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
    });
    tenant = await createTenant(latchkey);
    const grant_types = ["authorization_code", "refresh_token", DEVICE] as const;
    own = await addClient(latchkey, tenant.account_id, { first_party: true, grant_types: [...grant_types] });
    standard = standardClient(latchkey, tenant, own);
    const people = { ada: { email: tenant.user.email, email_verified: true } };
    upstream = await openUpstream(people, tenant);
  });
  afterAll(async () => {
    await latchkey.server.stop().catch(() => {});
    await latchkey.database.drop();
    await upstream.close();
    await collector.close();
  });

  const note = (what: string, value: string | null | undefined): string => {
    expect(value, what).toBeTruthy();
    issued.set(value ?? "", what);
    return value ?? "";
  };
  const noteAll = (what: string, { status, text, body }: Reply, ...names: readonly string[]) => {
    expect(status, text).toBeLessThan(300);
    for (const name of names) note(`${name} of ${what}`, body[name]);
    return body;
  };
  const noteCookies = ({ jar }: Surfer) => {
    expect(jar.size).toBeGreaterThan(0);
    for (const value of jar.values()) note("cookie", value);
  };
  const refused = ({ status, headers, ...said }: Reply | Shown) => {
    expect(status, "text" in said ? said.text : said.html).toBeGreaterThanOrEqual(400);
    errors.push("text" in said ? said.text : said.html, JSON.stringify([...headers]));
  };
  const wrong = (right: string) => (right === "000000" ? "000001" : "000000");
  const received = async (to: string, at = tenant) =>
    note("six digits", (await inbox(at, to)).find(({ verification_code }) => verification_code)?.verification_code);
  const post = (path: string, options: CallOptions, at = tenant) =>
    call(`${at.base}${path}`, { method: "POST", ...options });
  const localise = (url: string) => url.replace(latchkey.config.public_url, latchkey.url);

  async function logIn(surfer: Surfer): Promise<string> {
    const person = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const page = await surfer.visit(standard.address(own, { scope: "openid offline_access" }));
    noteCookies(surfer);
    const waiting = await surfer.act(page, "identify", { identifier: person.email });
    const code = await received(person.email);
    expect(code).toMatch(/^\d{6}$/);
    await surfer.act(waiting, "code", { code: wrong(code) });
    const cookie = [...surfer.jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const foreign = { cookie, "sec-fetch-site": "cross-site" };
    refused(await call(localise(page.url), { method: "POST", headers: foreign, form: { action: "code", code } }));
    const second = await surfer.act(waiting, "code", { code });
    const asked = await surfer.act(second, "challenge", { channel: "sms" });
    const binding_code = await received(person.phone_number);
    const shown = await surfer.act(asked, "factor", { code: binding_code });
    noteCookies(surfer);
    return note("authorization code", answered(shown).get("code"));
  }

  async function standardTokens(code: string) {
    const names = ["access_token", "refresh_token", "id_token"];
    const { refresh_token } = noteAll("a login", await standard.redeem(code), ...names);
    const refresh = (text: string) => standard.token({ grant_type: "refresh_token", refresh_token: text });
    noteAll("a refresh", await refresh(refresh_token), "access_token", "refresh_token");
    refused(await refresh(`${refresh_token.slice(0, -1)}${refresh_token.endsWith("A") ? "B" : "A"}`));
    refused(await standard.redeem(code));
  }

  async function letDeviceIn(surfer: Surfer) {
    const headers = { authorization: basic(own) };
    const begun = await post("/oauth/device_authorization", { headers, form: { scope: "openid" } });
    const { device_code } = noteAll("a device", begun, "device_code", "user_code");
    const poll = () => standard.token({ grant_type: DEVICE, device_code });
    refused(await poll());
    await surfer.visit(begun.body.verification_uri_complete);
    const asked = await surfer.visit(begun.body.verification_uri, { user_code: begun.body.user_code });
    expect((await surfer.act(asked, "allow")).html).toContain("The device is connected");
    noteAll("a device", await poll(), "access_token", "id_token");
    refused(await poll());
  }

  async function push(surfer: Surfer) {
    const about = { redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
    const pushed = await post("/oauth/par", { headers: { authorization: basic(own) }, form: about });
    expect(pushed.status, pushed.text).toBe(201);
    const { request_uri } = pushed.body;
    passing.set(request_uri.split(":").at(-1), "request_uri");
    const query = new URLSearchParams({ client_id: own.client_id, request_uri });
    const bring = () => surfer.visit(`${tenant.issuer}/oauth/authorize?${query}`);
    note("authorization code", answered(await bring()).get("code"));
    refused(await bring());
  }

  async function register() {
    const json = { redirect_uris: [CALLBACK] };
    const made = await post("/oauth/register", { token: tenant.token, json });
    const noted = noteAll("a registration", made, "client_secret", "registration_access_token");
    const { client_id, registration_access_token } = noted;
    const manage = (bearer: string) => call(`${tenant.base}/oauth/register/${client_id}`, { token: bearer });
    expect((await manage(registration_access_token)).status).toBe(200);
    refused(await manage(`${registration_access_token}x`));
  }

  async function proveByKey() {
    const keys = await generateKeyPair("ES256");
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256" };
    const settings = { token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [jwk] } } as const;
    const { client_id } = await addClient(latchkey, tenant.account_id, settings);
    await addGrant(latchkey, tenant.account_id, { client_id }, tenant.audience, ["orders:read"]);
    const assertion = new SignJWT({ jti: randomUUID() }).setProtectedHeader({ alg: "ES256", kid: "1" });
    const about = assertion.setIssuer(client_id).setSubject(client_id).setAudience(tenant.issuer);
    const client_assertion = note("client assertion", await about.setExpirationTime("1m").sign(keys.privateKey));
    const form = { grant_type: "client_credentials", resource: tenant.audience, client_assertion };
    const ask = () => post("/oauth/token", { form: { ...form, client_assertion_type: ASSERTION } });
    noteAll("an assertion", await ask(), "access_token");
    refused(await ask());
  }

  async function logInElsewhere(surfer: Surfer) {
    const client = await addClient(latchkey, tenant.account_id, { first_party: true });
    const { client_id, client_secret, issuer: authority } = upstream;
    const oidc = { client_id, client_secret: note("upstream secret", client_secret), authority };
    const about = { audience: "https://orders.example", scope: [], type: "authorization_code" };
    const json = { ...about, client_id: client.id, oidc: { ...oidc, trusted_domains: ["example.com"] } };
    expect((await post("/auth/client-grants", { token: tenant.token, json })).status).toBe(200);
    const page = await surfer.visit(standard.address(client));
    const link = /href="(login\/upstream[^"]+)"/.exec(page.html)?.[1]?.replaceAll("&amp;", "&") ?? "";
    const away = await surfer.visit(new URL(link, page.url).href);
    noteCookies(surfer);
    const back = await upstream.answer("ada", Object.fromEntries(answered(away)));
    note("upstream code", new URL(back).searchParams.get("code"));
    note("upstream state", new URL(back).searchParams.get("state")?.split(".")[2]);
    refused(await openSurfer(latchkey).visit(back));
    note("authorization code", answered(await surfer.visit(back)).get("code"));
    noteCookies(surfer);
  }

  async function changeAddress() {
    const { user, token } = tenant;
    const contact = (operation: string, json: object) =>
      post(`/customers/users/${user.id}/communication/${operation}/email`, { token, json });
    const value = "moved@example.com";
    expect((await contact("send-verification-code", { value })).status).toBe(204);
    const code = await received(value);
    refused(await contact("confirm-verification-code", { code: wrong(code) }));
    expect((await contact("confirm-verification-code", { code })).status).toBe(204);
    refused(await contact("confirm-verification-code", { code }));
  }

  async function typePin() {
    const at = await createTenant(latchkey, { settings: { mfa_login: true } });
    const pin = note("PIN", String(randomInt(100_000, 1_000_000)));
    const email = "pin@example.com";
    const json = { email, phone_number: "+4740000002", pin };
    expect((await post("/customers/users", { token: at.token, json }, at)).status).toBe(200);
    const ident = { audience: at.audience, type: "customer", ident_type: "email", ident: email };
    const begin = (secret: string) => post("/customers/mfa_login", { token: at.token, json: { ...ident, secret } }, at);
    refused(await begin(`${pin}0`));
    const { mfa_token } = noteAll("a PIN", await begin(pin), "mfa_token");
    const challenge = { challenge_type: "oob", mfa_token };
    const asked = await post("/auth/mfa/challenge", { token: at.token, json: challenge }, at);
    const { oob_code } = noteAll("a challenge", asked, "oob_code");
    const [message] = await inbox(at);
    const binding_code = note("binding code", message?.verification_code);
    const finish = (typed: string) => token(at, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code: typed });
    refused(await finish(wrong(binding_code)));
    noteAll("a PIN", await finish(binding_code), "access_token", "refresh_token");
    refused(await finish(binding_code));
  }

  async function showApp() {
    const me = await logInAccountUser(latchkey, tenant);
    const app = (method: string, json?: object) =>
      call(`${latchkey.url}/v1/account/user/mfa/totp`, { method, token: me.token, ...(json ? { json } : {}) });
    const { secret } = noteAll("an app", await app("POST"), "secret");
    const otp = note("one-time password", oneTimePassword(secret));
    expect((await app("PUT", { otp })).status).toBe(201);
    refused(await app("PUT", { otp }));
  }

  it("is found nowhere else", async () => {
    const surfer = openSurfer(latchkey);
    await standardTokens(await logIn(surfer));
    await letDeviceIn(surfer);
    await push(surfer);
    await register();
    await proveByKey();
    await logInElsewhere(openSurfer(latchkey));
    await changeAddress();
    await typePin();
    await showApp();

    const places = new Map([["the database", await readDatabase(latchkey.server.core.storage)]]);
    for (const [path, text] of readFiles(latchkey.database)) places.set(path, text);
    await latchkey.server.stop();
    const told = new Map([
      ["logs", logs.join("\n")],
      ["traces", collector.all.map(({ body }) => body).join("\n")],
      ["error replies", errors.join("\n")],
    ]);
    for (const route of [
      "/oauth/device_authorization",
      "/login/upstream/callback/:provider",
      "/communication/:operation/:field",
    ])
      for (const place of ["logs", "traces"]) expect(told.get(place), place).toContain(route);
    expect(errors.length).toBeGreaterThan(25);
    expect(issued.size).toBeGreaterThan(25);
    expect(findLeaks(issued, new Map([...places, ...told]))).toEqual([]);
    expect(findLeaks(passing, told)).toEqual([]);
    expect(findLeaks(passing, places), "looked for in earnest").not.toEqual([]);
  });
});
