/** Account users whom the account's own provider logs in have no way in past it. */
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  askForCode,
  call,
  createTenant,
  inbox,
  type Latchkey,
  receiveCode,
  startLatchkey,
  tokenOf,
} from "../support/latchkey.ts";
import { token } from "../support/people.ts";
import { openReceiver } from "../support/receiver.ts";
import { code } from "../support/replies.ts";

/** As providers write them, with the claim of an address. */
const accessTokens = [
  // Keycloak.
  { typ: "Bearer", scope: "openid email", nonce: "n" },
  // RFC 9068.
  { header: "at+jwt", nonce: "n" },
  { header: "application/at+JWT" },
  // Entra ID, of its two versions.
  { header: "JWT", ver: "2.0", azpacr: "0", scp: "reports.read" },
  { header: "JWT", ver: "1.0", appid: "portal", appidacr: "0" },
  // Auth0.
  { header: "JWT", scope: "openid profile email" },
  // Okta.
  { cid: "portal", scp: ["openid", "email"] },
  // ZITADEL.
  { client_id: "portal", jti: "1" },
];
const idTokens = [
  // FusionAuth.
  { header: "JWT", scope: "openid email", at_hash: "h" },
  // AD FS.
  { header: "JWT", scp: "openid email", nonce: "n" },
  // ZITADEL.
  { client_id: "portal", at_hash: "h" },
  { header: "JWT", c_hash: "h", scope: "openid" },
];

describeOnBothEngines("external account users", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" }, monotonic: () => 0 });
  });
  afterAll(() => latchkey.close());

  it("log in past their provider by no code, which makes nobody else of their address either", async () => {
    const own = await createTenant(latchkey);
    const send = (method: string, path: string, json: object) =>
      call(`${own.base}${path}`, { method, token: own.token, json });
    const jwks = { name: "IdP", uri: "https://idp.example/jwks", issuer: "https://idp.example" };
    await send("PATCH", "/auth/settings", { jwks });
    const client = await addClient(latchkey, own.account_id, { user_type: "account_user", signup: true });
    await addGrant(latchkey, own.account_id, client, own.issuer, ["openid", "admin:accounts"]);
    const email = "ada@corp.example";
    const user = { email, authentication_type: "external", scope: ["admin:accounts"] };
    const early = await receiveCode(own, { client, email, audience: own.issuer });
    const { id } = (await send("POST", "/management/users", user)).body;
    const logIn = (verification_code: string) => {
      const named = { ident_type: "email", ident: email, verification_code };
      return token(own, { grant_type: "authorization_code", audience: own.issuer, ...named });
    };
    expect(code(await logIn(early)), "of before they were one").toEqual([400, "invalid_verification_code"]);
    const before = (await inbox(own, email)).length;
    for (const settings of [{}, { jwks: null }]) {
      await send("PATCH", "/auth/settings", settings);
      expect((await askForCode(own, { client, email, audience: own.issuer })).status).toBe(204);
      expect(await inbox(own, email)).toHaveLength(before);
    }
    const staff = (await call(`${own.base}/management/users`, { token: own.token })).body;
    expect(staff.map((one: { id: string }) => one.id)).toEqual([id]);
    const colleague = "bo@corp.example";
    await send("POST", "/management/users", { email: colleague, scope: ["admin:accounts"] });
    const shown = { grant_type: "authorization_code", ident_type: "email", ident: colleague, audience: own.issuer };
    const verification_code = await receiveCode(own, { client, email: colleague, audience: own.issuer });
    expect((await token(own, { ...shown, verification_code })).status, "whom no provider logs in").toBe(200);
  });

  it("are asked to come again while their provider does not answer, and strangers are told nothing of its network", async () => {
    const own = await createTenant(latchkey);
    const made_up = (iss: string) => {
      const part = (json: object) => Buffer.from(JSON.stringify(json)).toString("base64url");
      return `${part({ alg: "ES256" })}.${part({ iss, aud: own.account_id })}.AAAA`;
    };
    let status = 503;
    const provider = await openReceiver(() => [status, "{}"]);
    const ask = async (uri: string) => {
      const jwks = { name: "IdP", uri, issuer: "https://idp.example" };
      await call(`${own.base}/auth/settings`, { method: "PATCH", token: own.token, json: { jwks } });
      return call(`${latchkey.url}/v1/account/user`, { token: made_up("https://idp.example") });
    };
    for (let n = 0; n < 3; n++) {
      const later = await ask(`${provider.url}/busy`);
      expect([...code(later), later.headers.get("retry-after")]).toEqual([503, "temporarily_unavailable", "1"]);
    }
    expect(provider.all, "asked once").toHaveLength(1);
    status = 404;
    expect(code(await ask(`${provider.url}/gone`))).toEqual([401, "invalid_token"]);
    await provider.close();
    const closed = await ask(`${provider.url}/closed`);
    expect(code(closed)).toEqual([503, "temporarily_unavailable"]);
    const unknown = await ask("https://no-such.invalid/jwks");
    expect(code(unknown)).toEqual([401, "invalid_token"]);
    expect(unknown.body.error.message).toBe("no-such.invalid cannot be reached.");
    for (const { text, headers } of [closed, unknown])
      expect(`${text} ${headers.get("www-authenticate")}`).not.toMatch(/ECONN|ENOTFOUND|getaddrinfo|connect/);
  });

  it("are nobody by what their provider tells another app, unless it is named as the provider's name of the account", async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    const published = JSON.stringify({ keys: [await exportJWK(publicKey)] });
    const provider = await openReceiver(() => [200, published]);
    const own = await createTenant(latchkey);
    const writing = await addClient(latchkey, own.account_id);
    await addGrant(latchkey, own.account_id, writing, own.issuer, ["write:accounts"]);
    const writer = await tokenOf(latchkey, own.account_id, writing);
    const set = (json: object, token = own.token) =>
      call(`${own.base}/auth/settings`, { method: "PATCH", token, json });
    const jwks = { name: "IdP", uri: `${provider.url}/jwks`, issuer: "https://idp.example" };
    expect((await set({ jwks })).status).toBe(200);
    const user = { email: "ada@corp.example", authentication_type: "external", scope: ["admin:accounts"] };
    const made = await call(`${own.base}/management/users`, { method: "POST", token: own.token, json: user });
    expect(made.status, made.text).toBe(200);
    const sign = (aud: string | string[], azp?: string, { header: typ, ...more }: Record<string, unknown> = {}) => {
      const claims = new SignJWT({ iss: jwks.issuer, aud, azp, sub: "1", email: user.email, ...more });
      const header = { alg: "ES256", ...(typ === undefined ? {} : { typ: String(typ) }) };
      const signed = claims.setProtectedHeader(header).setIssuedAt().setExpirationTime("1 minute");
      return signed.sign(privateKey);
    };
    const logIn = async (...to: Parameters<typeof sign>) =>
      token(own, { grant_type: "account_user" }, await sign(...to));
    const findMe = async (...to: Parameters<typeof sign>) =>
      call(`${latchkey.url}/v1/account/user`, { token: await sign(...to) });
    const look = (bearer: string) => call(`${own.base}/auth/clients`, { token: bearer });
    const [another, refused] = ["canteen-app", [401, "invalid_token"]];
    expect(code(await logIn(another))).toEqual(refused);
    expect((await set({ api_audiences: [another] }, writer)).status).toBe(200);
    expect(code(await logIn(another)), "a name of the account's API").toEqual(refused);
    const named = { jwks: { ...jwks, audience: another } };
    expect(code(await set(named, writer))).toEqual([403, "insufficient_scope"]);
    expect((await set({ ...named, api_audiences: [] })).status).toBe(200);
    for (const aud of [own.account_id, own.issuer, another]) expect((await logIn(aud)).status, aud).toBe(200);
    for (const aud of [own.account_id, own.issuer]) expect((await findMe(aud)).status, aud).toBe(200);
    expect(code(await findMe(another)), "where no path says whose name that is").toEqual(refused);
    const canteen = [another, "staff-app"];
    expect((await logIn(canteen, another)).status, "which it was issued to").toBe(200);
    for (const azp of ["staff-app", undefined])
      expect(code(await logIn(canteen, azp)), "another app's, which names this one beside").toEqual(refused);
    const { access_token } = (await logIn(another)).body;
    expect((await look(access_token)).status).toBe(200);
    expect((await set({ jwks })).status).toBe(200);
    expect(code(await logIn(another)), "taken back").toEqual(refused);
    expect((await look(access_token)).status).toBe(401);
    // As Keycloak writes them, with a mapper that adds the account: the client comes first, and is the authorized party.
    const stranger = await createTenant(latchkey);
    for (const name of [own.account_id, own.issuer]) {
      for (const aud of [["portal", name], [name], name])
        expect([(await logIn(aud, "portal")).status, (await findMe(aud, "portal")).status], `${aud}`).toEqual([
          200, 200,
        ]);
      expect([(await logIn(["portal", name])).status, (await findMe(["portal", name])).status]).toEqual([200, 200]);
    }
    for (const aud of ["portal", ["portal", "account"], ["portal", stranger.account_id], ["portal", stranger.issuer]])
      for (const azp of ["portal", own.account_id, undefined])
        expect([code(await logIn(aud, azp)), code(await findMe(aud, azp))], `${aud}`).toEqual([refused, refused]);
    const name = own.account_id;
    expect((await logIn(["portal", name], "portal", { typ: "ID", header: "JWT" })).status).toBe(200);
    expect((await set({ jwks: { ...jwks, audience: "portal" } })).status).toBe(200);
    for (const more of accessTokens)
      for (const aud of [["portal", name], name, "portal"])
        expect(
          [code(await logIn(aud, "portal", more)), code(await findMe(aud, "portal", more))],
          `an access token, which other APIs are shown: ${JSON.stringify(more)}`,
        ).toEqual([refused, refused]);
    for (const more of idTokens) expect((await logIn(name, "portal", more)).status, JSON.stringify(more)).toBe(200);
    await provider.close();
  });
});
