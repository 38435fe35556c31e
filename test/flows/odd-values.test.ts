/** Values of a kind that nobody expects there: they are refused, or mean what they say, on either engine. */
import { generateKeyPairSync, randomUUID, sign as signBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
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
import { openReceiver, type Receiver } from "../support/receiver.ts";

const ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** Stands for arrays within one another, more of them than the stack has room for. */
const DEEP = "deep";
const deep = `${"[".repeat(5_000)}${"]".repeat(5_000)}`;

/** A key, and what it signs: any JSON, which libraries do not. */
function openKey() {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const encode = (part: object) => Buffer.from(JSON.stringify(part).replace(`"${DEEP}"`, deep)).toString("base64url");
  const sign = (header: object, claims: object) => {
    const signed = `${encode({ alg: "ES256", ...header })}.${encode(claims)}`;
    const signature = signBytes("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" });
    return `${signed}.${signature.toString("base64url")}`;
  };
  return { jwk: publicKey.export({ format: "jwk" }), sign };
}

describeOnBothEngines("odd values", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let upstream: Receiver;
  const answers = new Map<string, object>();
  beforeAll(async () => {
    upstream = await openReceiver(({ path }) => [200, JSON.stringify(answers.get(path.replace(/^\/[^/]*/, "")) ?? {})]);
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
  });
  afterAll(async () => {
    await latchkey.close();
    await upstream.close();
  });

  const now = () => Math.floor(Date.now() / 1000);
  const send = (method: string, path: string, json: object) =>
    call(`${tenant.base}${path}`, { method, token: tenant.token, json });

  it("make no two assertions one, whose jti begin alike", async () => {
    const { jwk, sign } = openKey();
    const jwks = { keys: [{ ...jwk, kid: "1" }] };
    const own = await addClient(latchkey, tenant.account_id, { token_endpoint_auth_method: "private_key_jwt", jwks });
    const prove = async (jti: string) => {
      const about = { iss: own.client_id, sub: own.client_id, aud: tenant.issuer, exp: now() + 60, jti };
      const client_assertion = sign({ kid: "1" }, about);
      const form = { token: "x", client_assertion, client_assertion_type: ASSERTION };
      return (await call(`${tenant.base}/oauth/introspect`, { method: "POST", form })).status;
    };
    const long = "x".repeat(1_000);
    const jtis = [`${long}1`, `${long}2`, `${long}1`, "\0", "\0"];
    const said: number[] = [];
    for (const jti of jtis) said.push(await prove(jti));
    expect(said).toEqual([200, 200, 401, 200, 401]);
  });

  it("are no jti of a proof, and no part of it that counts", async () => {
    const own = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
    const { jwk, sign } = openKey();
    const prove = (claims: object, more: object = {}, header: object = {}) => {
      const about = { htm: "POST", htu: `${tenant.issuer}/oauth/token`, iat: now(), jti: randomUUID(), ...claims };
      return ask(sign({ typ: "dpop+jwt", jwk: { ...jwk, ...more }, ...header }, about));
    };
    const ask = (dpop: string) =>
      call(`${tenant.base}/oauth/token`, {
        method: "POST",
        headers: { authorization: basic(own), dpop },
        form: { grant_type: "client_credentials", audience: tenant.audience },
      });
    const nonce = (await prove({})).headers.get("dpop-nonce") ?? "";
    for (const jti of [DEEP, [], {}, 7, true, null]) {
      const { status, body } = await prove({ nonce, jti });
      expect([status, body.error], JSON.stringify(jti)).toEqual([400, "invalid_dpop_proof"]);
    }
    for (const name of ["kty", "crv", "x", "y", "use", "alg", "key_ops", "ext", "kid", "n", "e"]) {
      const { status, body } = await prove({ nonce }, { [name]: DEEP });
      // What a key of its kind has no use for may be anything.
      if (status !== 200) expect([status, body.error], name).toEqual([400, "invalid_dpop_proof"]);
    }
    for (const name of ["alg", "typ", "crit", "b64", "jwk", "kid"]) {
      const { status, body } = await prove({ nonce }, {}, { [name]: DEEP });
      if (status !== 200) expect([status, body.error], name).toEqual([400, "invalid_dpop_proof"]);
    }
    for (const name of ["htm", "htu", "iat", "nbf", "exp", "nonce"]) {
      const { status, body } = await prove({ nonce, [name]: DEEP });
      const error = name === "nonce" ? "use_dpop_nonce" : "invalid_dpop_proof";
      expect([status, body.error], name).toEqual([400, error]);
    }
    expect((await prove({ nonce })).body.token_type).toBe("DPoP");
  });

  it("are no jti of a client's assertion", async () => {
    const { jwk, sign } = openKey();
    const jwks = { keys: [jwk] };
    const own = await addClient(latchkey, tenant.account_id, { token_endpoint_auth_method: "private_key_jwt", jwks });
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
    const ask = async (jti: unknown) => {
      const about = { iss: own.client_id, sub: own.client_id, aud: tenant.issuer, exp: now() + 60, jti };
      const client_assertion = sign({}, about);
      const form = { grant_type: "client_credentials", audience: tenant.audience };
      const shown = { client_assertion, client_assertion_type: ASSERTION };
      return call(`${tenant.base}/oauth/token`, { method: "POST", form: { ...form, ...shown } });
    };
    for (const jti of [[], {}, 7, null]) {
      const { status, body } = await ask(jti);
      expect([status, body.error], JSON.stringify(jti)).toEqual([401, "invalid_client"]);
    }
    expect((await ask(randomUUID())).status).toBe(200);
  });

  it("find who has them in a name, in any letters, whatever the case", async () => {
    const letters = ["абвгдежзийклмнопрстуфхцчшщъыьэюя", "αβγδεζηθικλμνξοπρστυφχψω", "àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþ"];
    const alphabet = letters.join("");
    const almost = alphabet.replace(/.$/u, "z");
    for (const [index, name] of [alphabet.toUpperCase(), `${alphabet} & 100%`, almost].entries()) {
      expect((await send("POST", "/auth/roles", { id: `role-${index}`, name, scope: [] })).status).toBe(200);
      const made = await send("POST", "/management/users", { email: `staff-${index}@example.com`, name });
      expect(made.status, made.text).toBe(200);
    }
    const search = async (path: string, wanted: string) => {
      const reply = await call(`${tenant.base}${path}`, { token: tenant.token, query: { search: wanted } });
      expect(reply.status, reply.text).toBe(200);
      return (reply.body as { name: string }[]).map(({ name }) => name).toSorted();
    };
    const both = [alphabet.toUpperCase(), `${alphabet} & 100%`].toSorted();
    for (const path of ["/auth/roles", "/management/users"]) {
      expect(await search(path, alphabet), path).toEqual(both);
      expect(await search(path, alphabet.toUpperCase()), path).toEqual(both);
      for (const some of letters)
        expect(await search(path, some.slice(1, -1)), path).toEqual([...both, almost].toSorted());
      expect(await search(path, `${alphabet} & 100%`), path).toEqual([`${alphabet} & 100%`]);
    }
  });

  it("are names of an account like any others", async () => {
    const api_audiences = ["constructor", "toString", "valueOf", "hasOwnProperty", "__proto__"];
    const reply = await send("PATCH", "/auth/settings", { api_audiences });
    expect(reply.status, reply.text).toBe(200);
    expect(reply.body.api_audiences).toEqual(api_audiences);
  });

  it("are nobody at another provider", async () => {
    const { jwk, sign } = openKey();
    const own = await addClient(latchkey, tenant.account_id, { signup: true });
    const issuer = `${upstream.url}/provider`;
    const oidc = { client_id: "latchkey", client_secret: "upstream-secret", authority: issuer };
    const grant = { client_id: own.id, audience: tenant.audience, scope: [], type: "authorization_code", oidc };
    expect((await send("POST", "/auth/client-grants", grant)).status).toBe(200);
    const metadata = { issuer, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks` };
    answers.set("/.well-known/openid-configuration", metadata);
    answers.set("/jwks", { keys: [jwk] });
    const logIn = async (claims: object) => {
      const about = { iss: issuer, aud: "latchkey", iat: now(), exp: now() + 60, ...claims };
      answers.set("/token", { id_token: sign({}, about), access_token: "x", token_type: "Bearer" });
      const asked = { client_id: own.client_id, audience: tenant.audience, code: "x", redirect_uri: CALLBACK };
      return send("POST", "/auth/oidc/token", { grant_type: "authorization_code", ...asked });
    };
    for (const sub of [{}, [], DEEP, 1.5, 7, true, null, "", "x".repeat(256), "a\0", "\ud800"]) {
      const { status, body } = await logIn({ sub });
      const said = [status, body?.error?.code];
      expect(said, JSON.stringify(sub).slice(0, 20)).toEqual([400, "upstream_login_failed"]);
    }
    const { status, body } = await logIn({ sub: "ada", azp: DEEP });
    expect([status, body.error?.code], "azp").toEqual([400, "upstream_login_failed"]);
    for (const sub of ["ada", "x".repeat(255), "jörg"]) expect((await logIn({ sub })).status, sub).toBe(200);
  });

  it("that are another's id, living or deleted, name nobody, and a role that is named twice is given once", async () => {
    const { account_id, base, token } = tenant;
    const add = (path: string, json: object) => call(`${base}${path}`, { method: "POST", token, json });
    const ids: string[] = [];
    for (const email of ["living@ids.example", "deleted@ids.example"])
      ids.push((await addUser(latchkey, account_id, { email })).id);
    await call(`${base}/customers/users/${ids[1]}`, { method: "DELETE", token });
    for (const customer_id of ids) {
      const { status, body } = await add("/customers/users", { customer_id, email: "other@ids.example" });
      const errors = [{ path: "customer_id", code: "taken", message: "is taken" }];
      expect([status, body.error?.errors]).toEqual([400, errors]);
    }
    const own = { customer_id: randomUUID(), email: "own@ids.example" };
    expect((await add("/customers/users", own)).status, "a uuid that is nobody's").toBe(200);
    const { id } = (await add("/auth/roles", { name: "reader", scope: ["read:accounts"] })).body;
    const twice = await add("/management/users?expand=roles", { email: "twice@ids.example", roles: [{ id }, { id }] });
    expect([twice.status, twice.body.roles?.length]).toEqual([200, 1]);
  });
});
