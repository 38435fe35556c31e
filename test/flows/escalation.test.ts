/**
 * Nobody gains a scope that they do not hold. Each way of handing one on is tried by a bearer that may administer the account
 * in some respect, but not in this one; and a client's token never passes for a person's, nor a person's for a client's.
 */
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { reveal } from "../../src/secrets/secret.ts";
import { signJws } from "../../src/tokens/jws.ts";
import { signingKey } from "../../src/tokens/keys/find-key.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  authorize,
  type CallOptions,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  type Reply,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { consent, logInAccountUser, personToken } from "../support/people.ts";
import { openReceiver } from "../support/receiver.ts";
import { code } from "../support/replies.ts";

const scopesOf = (jwt: string): string[] => claimsOf(jwt).scope.split(" ");

describeOnBothEngines("a bearer that holds less than all", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let weak: string;
  let weakClient: TestClient;
  let role: string;
  let powerful: string;
  let powerfulGrant: string;
  let staff: string;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey, { scope: ["admin:accounts", "admin:customers", "admin:checkout"] });
    weakClient = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, weakClient, tenant.issuer, ["write:accounts", "read:accounts"]);
    weak = await tokenOf(latchkey, tenant.account_id, weakClient);
    const client = await addClient(latchkey, tenant.account_id);
    powerful = client.id;
    powerfulGrant = await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["admin:checkout"]);
    role = (await send("POST", "/auth/roles", tenant.token, { json: { name: "till", scope: ["admin:checkout"] } })).body
      .id;
    const created = { email: "till@example.com", roles: [{ id: role }] };
    staff = (await send("POST", "/management/users", tenant.token, { json: created })).body.id;
  });
  afterAll(() => latchkey.close());

  const send = (method: string, path: string, token: string, options: CallOptions = {}) =>
    call(`${tenant.base}${path}`, { method, token, ...options });

  const ways: [
    string,
    string,
    (ids: { powerful: string; grant: string; role: string; staff: string; own: string; issuer: string }) => string,
    (ids: { powerful: string; role: string; own: string; issuer: string }) => object | undefined,
  ][] = [
    [
      "grant itself a scope",
      "POST",
      () => "/auth/client-grants",
      ({ own, issuer }) => ({ client_id: own, audience: issuer, scope: ["admin:checkout"] }),
    ],
    [
      "grant itself a scope under another name of the account API",
      "POST",
      () => "/auth/client-grants",
      ({ own, issuer }) => ({
        client_id: own,
        audience: issuer.replace(/^https?:\/\/[^/]+/, "https://api.dintero.com"),
        scope: ["admin:accounts"],
      }),
    ],
    [
      "widen a grant",
      "PATCH",
      ({ grant }) => `/auth/client-grants/${grant}`,
      () => ({ scope: ["admin:checkout", "admin:accounts"] }),
    ],
    ["delete a grant", "DELETE", ({ grant }) => `/auth/client-grants/${grant}`, () => undefined],
    [
      "get the secret of a client that holds more",
      "POST",
      ({ powerful }) => `/auth/clients/${powerful}/rotate-secret`,
      () => undefined,
    ],
    [
      "send that client's codes to itself",
      "PATCH",
      ({ powerful }) => `/auth/clients/${powerful}`,
      () => ({ callbacks: ["https://evil.example/"] }),
    ],
    ["delete that client", "DELETE", ({ powerful }) => `/auth/clients/${powerful}`, () => undefined],
    [
      "give a grant to that client",
      "POST",
      () => "/auth/client-grants",
      ({ powerful }) => ({ client_id: powerful, audience: "https://x.example", scope: [] }),
    ],
    ["make a role", "POST", () => "/auth/roles", () => ({ scope: ["admin:checkout"] })],
    ["empty a role", "PUT", ({ role }) => `/auth/roles/${role}`, () => ({ scope: [] })],
    ["delete a role", "DELETE", ({ role }) => `/auth/roles/${role}`, () => undefined],
    [
      "make an account user with a scope",
      "POST",
      () => "/management/users",
      () => ({ email: "evil@example.com", scope: ["admin:checkout"] }),
    ],
    [
      "make an account user with a role",
      "POST",
      () => "/management/users",
      ({ role }) => ({ email: "evil@example.com", roles: [{ id: role }] }),
    ],
    [
      "give an account user a scope",
      "PUT",
      ({ staff }) => `/management/users/${staff}`,
      () => ({ scope: ["admin:accounts"] }),
    ],
    [
      "change an account user who holds more",
      "PUT",
      ({ staff }) => `/management/users/${staff}`,
      () => ({ roles: [] }),
    ],
    ["delete an account user who holds more", "DELETE", ({ staff }) => `/management/users/${staff}`, () => undefined],
  ];
  it.each(ways)("cannot %s", async (_what, method, path, body) => {
    const ids = { powerful, grant: powerfulGrant, role, staff, own: weakClient.id, issuer: tenant.issuer };
    const json = body(ids);
    const reply = await send(method, path(ids), weak, json ? { json } : {});
    expect(code(reply), reply.text).toEqual([403, "insufficient_scope"]);
  });

  it("cannot become the account's own provider while external users hold more", async () => {
    const jwks = { name: "IdP", uri: "https://idp.example/jwks", issuer: "https://idp.example" };
    expect((await send("PATCH", "/auth/settings", tenant.token, { json: { jwks } })).status).toBe(200);
    const external = { email: "ext@example.com", authentication_type: "external", scope: ["admin:checkout"] };
    expect((await send("POST", "/management/users", tenant.token, { json: external })).status).toBe(200);
    const evil = { jwks: { ...jwks, uri: "https://evil.example/jwks" } };
    expect(code(await send("PATCH", "/auth/settings", weak, { json: evil }))).toEqual([403, "insufficient_scope"]);
    await send("PATCH", "/auth/settings", tenant.token, { json: { jwks: null } });
  });

  it("cannot give every client that registers itself a scope, nor change one that got it so", async () => {
    const foreign = "https://orders.example";
    const given = { open_registration: true, public_client_grants: { [foreign]: ["orders:write"] } };
    const set = (token: string, json: object) => send("PATCH", "/auth/settings", token, { json });
    expect(code(await set(weak, given))).toEqual([403, "insufficient_scope"]);
    expect((await set(tenant.token, given)).status).toBe(200);
    const registered = await call(`${tenant.base}/oauth/register`, {
      method: "POST",
      json: { redirect_uris: ["https://shop.example/cb"], token_endpoint_auth_method: "none" },
    });
    expect(registered.status, registered.text).toBe(201);
    const path = `/auth/clients/${
      (await send("GET", "/auth/clients", tenant.token)).body.find(
        ({ client_id }: { client_id: string }) => client_id === registered.body.client_id,
      ).id
    }`;
    const evil = { callbacks: ["https://evil.example/"] };
    expect(code(await send("PATCH", path, weak, { json: evil }))).toEqual([403, "insufficient_scope"]);
    expect(code(await set(weak, { public_client_grants: {} }))).toEqual([403, "insufficient_scope"]);
    expect((await set(tenant.token, { open_registration: false, public_client_grants: {} })).status).toBe(200);
    expect((await send("PATCH", path, weak, { json: evil })).status).toBe(200);
  });

  it("cannot rename another API into the account API", async () => {
    const foreign = "https://other.example";
    await addGrant(latchkey, tenant.account_id, weakClient, foreign, ["admin:checkout"]);
    const json = { api_audiences: [foreign] };
    expect(code(await send("PATCH", "/auth/settings", weak, { json }))).toEqual([403, "insufficient_scope"]);
  });

  it("cannot mint a code for an account user, nor log one in with a password of its choosing", async () => {
    const client = await addClient(latchkey, tenant.account_id, { user_type: "account_user" });
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["admin:checkout"]);
    const json = { client_id: client.id, audience: tenant.issuer, user_id: staff };
    expect(code(await send("POST", "/auth/passwordless/code", weak, { json }))).toEqual([404, "not_found"]);
    const links = [{ rel: "customers_user", href: `https://x.example/users/${staff}` }];
    const user = { username: "evil", password: "correct horse", links };
    expect(code(await send("POST", "/auth/users", weak, { json: user }))).toEqual([400, "invalid_request"]);
  });

  it("keeps a person's token from a client's power, and gives account users what they and the grant both hold", async () => {
    const person = await personToken(tenant);
    expect(scopesOf(person)).not.toContain("admin:accounts");
    const me = await logInAccountUser(latchkey, tenant, { scope: ["read:accounts", "admin:checkout"] });
    expect(scopesOf(me.token)).toContain("read:accounts");
    expect(scopesOf(me.token)).not.toContain("admin:accounts");
    expect(scopesOf(me.token)).not.toContain("admin:checkout");
    expect((await send("GET", "/auth/clients", me.token)).status).toBe(200);
    expect(code(await send("POST", "/auth/clients", me.token, { json: { name: "x" } }))).toEqual([
      403,
      "insufficient_scope",
    ]);
  });

  it("takes no client's token for a person's, and no ID token for an access token", async () => {
    const me = `${latchkey.url}/v1/account/user`;
    expect(code(await call(me, { token: tenant.token }))).toEqual([403, "insufficient_scope"]);
    const reply = await authorize(tenant, { verification_code: await mintCode(tenant) });
    const id_token = new URL(reply.headers.get("location") ?? "").searchParams.get("id_token") ?? "";
    expect((await send("GET", "/auth/clients", id_token)).status).toBe(401);
    expect((await call(me, { token: id_token })).status).toBe(401);
    expect((await call(me, { token: `${id_token.split(".").slice(0, 2).join(".")}.` })).status).toBe(401);
  });

  it("takes scopes back at once: from a person, a role, a role's deletion and a user's", async () => {
    const changes: [string, (me: { id: string }, role_id: string) => Promise<Reply>][] = [
      ["own scopes", ({ id }) => send("PUT", `/management/users/${id}`, tenant.token, { json: { scope: [] } })],
      ["roles", ({ id }) => send("PUT", `/management/users/${id}`, tenant.token, { json: { roles: [] } })],
      ["the role's scopes", (_me, id) => send("PUT", `/auth/roles/${id}`, tenant.token, { json: { scope: [] } })],
      ["the role", (_me, id) => send("DELETE", `/auth/roles/${id}`, tenant.token)],
      ["the user", ({ id }) => send("DELETE", `/management/users/${id}`, tenant.token)],
    ];
    for (const [what, change] of changes) {
      const made = await send("POST", "/auth/roles", tenant.token, { json: { scope: ["read:accounts"] } });
      const me = await logInAccountUser(latchkey, tenant, { scope: ["read:customers"], role_ids: [made.body.id] });
      expect((await send("GET", "/auth/clients", me.token)).status, what).toBe(200);
      expect((await change(me, made.body.id)).status, what).toBe(200);
      expect((await send("GET", "/auth/clients", me.token)).status, what).toBe(401);
    }
  });

  it("needs a first-party client and a fresh login to change a password or factor", async () => {
    const third = await logInAccountUser(latchkey, tenant, { first_party: false });
    const mine = (method: string, path: string, token: string, json?: object) =>
      call(`${latchkey.url}/v1/account/user/${path}`, { method, token, ...(json ? { json } : {}) });
    const changes: ((token: string) => Promise<Reply>)[] = [
      (token) => mine("POST", "password", token, { proposed_password: "a new battery" }),
      (token) => mine("POST", "mfa/totp", token),
      (token) => mine("PUT", "mfa/totp", token, { enabled: false }),
      (token) => mine("PUT", "mfa/sms", token, { enabled: false }),
    ];
    const first = await logInAccountUser(latchkey, tenant);
    /** The same token, of somebody who logged in so many seconds earlier. */
    const aged = async (seconds: number) => {
      const { tokens, storage } = latchkey.server.core;
      const key = await signingKey(tokens, tenant.account_id, "ES256", storage.now());
      const said = decodeJwt<{ auth_time: number }>(first.token);
      return reveal(await signJws(key, "at+jwt", { ...said, auth_time: said.auth_time - seconds }));
    };
    const stale = await aged(301);
    const customer = await personToken(tenant);
    for (const change of changes) {
      expect(code(await change(third.token))).toEqual([403, "insufficient_scope"]);
      expect(code(await change(customer))).toEqual([403, "insufficient_scope"]);
      const late = await change(stale);
      expect([late.status, late.body.error.message]).toEqual([403, expect.stringContaining("of the last 5 minutes")]);
    }
    const recent = await aged(200);
    for (const change of changes) expect((await change(recent)).status).toBeLessThan(300);
  });

  it("takes back what others agreed to with no scope that only reads", async () => {
    const reader = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, reader, tenant.issuer, ["read:customers", "user:customers"]);
    const token = await tokenOf(latchkey, tenant.account_id, reader);
    await consent(latchkey, tenant.account_id, tenant.user.id, reader.id);
    const consents = `/customers/users/${tenant.user.id}/consents`;
    const taken = await send("DELETE", `${consents}/${reader.id}`, token);
    expect(code(taken)).toEqual([403, "insufficient_scope"]);
    expect(taken.headers.get("www-authenticate")).toContain(' scope="admin:customers write:customers"');
    expect((await send("GET", consents, token)).body).toMatchObject([{ client_id: reader.id }]);
  });

  it("logs external account users in by the account's own provider, and by no other", async () => {
    const keys = await generateKeyPair("ES256");
    const others = await generateKeyPair("ES256");
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256", use: "sig" };
    const idp = await openReceiver(() => [200, JSON.stringify({ keys: [jwk] })]);
    const own = await createTenant(latchkey);
    const issuer = "https://idp.example";
    const settings = { jwks: { name: "IdP", uri: `${idp.url}/jwks`, issuer } };
    const manage = (method: string, path: string, json?: object) =>
      call(`${own.base}${path}`, { method, token: own.token, ...(json ? { json } : {}) });
    const without = { email: "ada@corp.example", authentication_type: "external", scope: ["read:accounts", "openid"] };
    expect((await manage("POST", "/management/users", without)).status).toBe(400);
    expect((await manage("PATCH", "/auth/settings", settings)).status).toBe(200);
    const { id } = (await manage("POST", "/management/users", without)).body;
    await manage("POST", "/management/users", { email: "own@corp.example" });
    const sign = (claims: object = {}, { key = keys.privateKey, alg = "ES256", exp = 60 } = {}) => {
      const now = Math.floor(Date.now() / 1000);
      const all = {
        iss: issuer,
        aud: own.issuer,
        sub: "1",
        email: "Ada@corp.example",
        iat: now,
        exp: now + exp,
        ...claims,
      };
      return new SignJWT(all).setProtectedHeader({ alg, kid: "1" }).sign(key);
    };
    const me = (token: string) => call(`${latchkey.url}/v1/account/user`, { token });
    const good = await me(await sign());
    expect(good.status, good.text).toBe(200);
    expect(good.body).toMatchObject({
      id,
      accounts: [{ account_id: own.account_id, user: { id, scope: ["read:accounts", "openid"] } }],
    });
    for (const email_verified of [true, "true"])
      expect((await me(await sign({ email_verified }))).status, "as some providers write it").toBe(200);
    for (const oid of ["00000000-0000-0000-66f3-3332eca7ea81", tenant.account_id, ["x"]])
      expect((await me(await sign({ oid }))).status, `what their provider calls oid: ${oid}`).toBe(200);
    const several = { aud: ["T12345", own.issuer], azp: own.issuer };
    expect((await me(await sign(several))).status, "beside what names no account").toBe(200);
    const bad: [string, Promise<string>][] = [
      ["another key", sign({}, { key: others.privateKey })],
      ["another issuer", sign({ iss: "https://evil.example" })],
      ["another audience", sign({ aud: tenant.issuer })],
      ["expired", sign({}, { exp: -120 })],
      ["an unverified address", sign({ email_verified: false })],
      ["an address that is called unverified in a word", sign({ email_verified: "false" })],
      ["an address that is called neither", sign({ email_verified: null })],
      ["no address", sign({ email: undefined })],
      ["a stranger", sign({ email: "eve@corp.example" })],
      ["a user who is not external", sign({ email: "own@corp.example" })],
    ];
    for (const [what, token] of bad) {
      const reply = await me(await token);
      expect(reply.status, what).toBe(401);
      // Quoted strings of the characters that RFC 6750 §3 lets an error_description have.
      expect(reply.headers.get("www-authenticate"), what).toMatch(/^Bearer( \w+="[\x20\x21\x23-\x5b\x5d-\x7e]*",?)+$/);
    }
    const { headers, body } = await me(await sign({ iss: "https://evil.example" }));
    expect(body.error.message).toBe('The ID token is refused: unexpected "iss" claim value.');
    expect(headers.get("www-authenticate")).toContain(`="The ID token is refused: unexpected 'iss' claim value."`);
    const now = Math.floor(Date.now() / 1000);
    const exchange = { method: "POST", json: { grant_type: "account_user_token" } };
    const exchanged = async (claims: object) =>
      call(`${own.base}/auth/token`, { ...exchange, token: await sign(claims) });
    const issued = await exchanged({});
    expect(issued.status, issued.text).toBe(200);
    expect(decodeJwt(issued.body.access_token).scope).toBe("openid profile email read:accounts");
    const early = await exchanged({ auth_time: now - 600 });
    expect(decodeJwt(early.body.access_token)).toMatchObject({ auth_time: now - 600, amr: [] });
    expect(decodeJwt((await exchanged({ iat: now - 700 })).body.access_token)).toMatchObject({ auth_time: now - 700 });
    const old = await exchanged({ auth_time: now - 86_500 });
    expect(code(old), old.text).toEqual([401, "invalid_token"]);
    expect((await call(`${own.base}/auth/clients`, { token: issued.body.access_token })).status).toBe(200);
    expect((await call(`${own.base}/auth/clients`, { token: await sign() })).status).toBe(401);
    const registration = { method: "POST", token: await sign(), json: { redirect_uris: ["https://app.example/cb"] } };
    expect((await call(`${own.base}/oauth/register`, registration)).status).toBe(401);
    expect((await me(issued.body.access_token)).status).toBe(200);
    const password = { method: "POST", token: issued.body.access_token, json: { proposed_password: "a new battery" } };
    expect(code(await call(`${latchkey.url}/v1/account/user/password`, password))).toEqual([403, "insufficient_scope"]);
    const clientsWith = (token: string) => call(`${own.base}/auth/clients`, { token });
    for (const jwks of [
      null,
      { ...settings.jwks, issuer: "https://new.example" },
      { ...settings.jwks, uri: idp.url },
    ]) {
      expect((await manage("PATCH", "/auth/settings", { jwks })).status).toBe(200);
      expect((await clientsWith(issued.body.access_token)).status, `after ${jwks?.issuer} ${jwks?.uri}`).toBe(401);
      expect((await me(issued.body.access_token)).status).toBe(401);
    }
    await manage("PATCH", "/auth/settings", { jwks: { ...settings.jwks, name: "as before, by another name" } });
    expect((await clientsWith((await exchanged({})).body.access_token)).status).toBe(200);
    await manage("DELETE", `/management/users/${id}`);
    expect((await clientsWith(issued.body.access_token)).status).toBe(401);
    expect((await me(await sign())).status).toBe(401);
    await idp.close();
  });
});
