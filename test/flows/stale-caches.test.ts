/**
 * What another process took away lets nobody in here, though this one still remembers it; what another process has just
 * made is good here, though this one still remembers that it was not there.
 */
import { randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { changeClient } from "../../src/directory/clients/change-client.ts";
import { findClient } from "../../src/directory/clients/find-client.ts";
import type { ClientSettings } from "../../src/directory/clients/settings.ts";
import { cacheKey } from "../../src/directory/directory.ts";
import { grantsOf } from "../../src/directory/grants/grants-of.ts";
import { headerOf } from "../support/claims.ts";
import { describeOnBothEngines, engines } from "../support/engines.ts";
import {
  actor,
  addClient,
  addGrant,
  authorize,
  basic,
  CALLBACK,
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
import { addPerson, PASSWORD, setPassword, token } from "../support/people.ts";
import { pkce, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { openUpstream, type Upstream } from "../support/upstream.ts";

/** A way in that has just been taken once, and what it hangs on. */
interface Way {
  readonly clients: string;
  readonly grants: string;
  take(): Promise<Reply>;
}

describeOnBothEngines("what is remembered here and gone from the database", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let upstream: Upstream;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
    await setPassword(latchkey, tenant.account_id, tenant.user.id);
    upstream = await openUpstream({ ada: { email: tenant.user.email, email_verified: true } });
  });
  afterAll(async () => {
    await upstream.close();
    await latchkey.close();
  });

  const post = (path: string, bearer: string, json: object) =>
    call(`${tenant.base}${path}`, { method: "POST", token: bearer, json });

  const ways: Record<string, () => Promise<Way>> = {
    async "auth/redirect"() {
      const client = await addClient(latchkey, tenant.account_id);
      const grants = await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:accounts"]);
      const [{ client_id }, audience] = [client, tenant.issuer];
      const verification_code = await mintCode(tenant, { client_id, audience });
      const sent = await authorize(tenant, { client_id, audience, response_type: "token", verification_code });
      const fragment = new URL(sent.headers.get("location") ?? "").hash.slice(1);
      const access_token = new URLSearchParams(fragment).get("access_token") ?? "";
      const take = () => post("/auth/redirect", access_token, { redirect_uri: CALLBACK });
      return { clients: client.id, grants, take };
    },
    async "a password at auth/token"() {
      const client = await addClient(latchkey, tenant.account_id);
      await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["write:accounts:/auth/users"]);
      const grants = await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
      const { email } = await addPerson(latchkey, tenant.account_id);
      const bearer = await tokenOf(latchkey, tenant.account_id, client);
      const json = { grant_type: "password", username: email, password: PASSWORD, audience: tenant.audience };
      return { clients: client.id, grants, take: () => token(tenant, json, bearer) };
    },
    async "auth/oidc/token"() {
      const client = await addClient(latchkey, tenant.account_id, { signup: false });
      const { client_id, client_secret, issuer: authority } = upstream;
      const oidc = { client_id, client_secret, authority, trusted_domains: ["example.com"] };
      const about = { client_id: client.id, audience: tenant.audience };
      const grant = { ...about, scope: ["orders:read"], type: "authorization_code", oidc };
      const made = await post("/auth/client-grants", tenant.token, grant);
      const take = async () => {
        const login = { ...about, redirect_uri: CALLBACK, code: await upstream.logIn("ada") };
        return post("/auth/oidc/token", tenant.token, { grant_type: "authorization_code", ...login });
      };
      return { clients: client.id, grants: made.body.id, take };
    },
    async "a refresh token"() {
      const settings = { first_party: true, grant_types: ["authorization_code", "refresh_token"] as const };
      const client = await addClient(latchkey, tenant.account_id, {
        ...settings,
        grant_types: [...settings.grant_types],
      });
      const grants = await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
      const standard = standardClient(latchkey, tenant, client);
      const more = { scope: "openid offline_access orders:read", resource: tenant.audience };
      const { refresh_token } = (await standard.redeem(await standard.codeFor(client, more))).body;
      return { clients: client.id, grants, take: () => standard.token({ grant_type: "refresh_token", refresh_token }) };
    },
    async "a code"() {
      const client = await addClient(latchkey, tenant.account_id);
      const grants = await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
      const take = async () => {
        const verification_code = await mintCode(tenant, { client_id: client.client_id });
        return authorize(tenant, { client_id: client.client_id, verification_code });
      };
      return { clients: client.id, grants, take };
    },
  };
  /** Who came in, by the audit trail. */
  const entries = async () => {
    const events = latchkey.server.core.storage.read.selectFrom("audit_events");
    const { account_id } = tenant;
    return (await events.selectAll().where("account_id", "=", account_id).where("outcome", "=", "success").execute())
      .length;
  };

  it.each([
    ["auth/redirect", "clients"],
    ["a password at auth/token", "clients"],
    ["a password at auth/token", "grants"],
    ["auth/oidc/token", "clients"],
    ["auth/oidc/token", "grants"],
  ] as const)("lets nobody in by %s (%s), and writes down nothing else", async (way, table) => {
    const opened = await ways[way]?.();
    if (!opened) throw new Error(`no way ${way}`);
    const { directory, storage } = latchkey.server.core;
    for (const cache of [directory.clients, directory.grants]) cache.clear();
    const warm = await opened.take();
    expect([200, 302], warm.text).toContain(warm.status);
    const before = await entries();
    await storage.write(async ({ db }) => {
      const ended = new Date(storage.now()).toISOString();
      await sql`update ${sql.table(table)} set deleted_at = ${ended} where id = ${opened[table]}`.execute(db);
    });
    const refused = await opened.take();
    expect([refused.status, refused.body?.error?.code], refused.text).toEqual([403, "unauthorized_client"]);
    expect(await entries()).toBe(before);
  });

  it.each(["a code", "a password at auth/token", "auth/oidc/token", "a refresh token"])(
    "lets somebody in by %s under a grant that another process has just made",
    async (way) => {
      const opened = await ways[way]?.();
      if (!opened) throw new Error(`no way ${way}`);
      const { directory } = latchkey.server.core;
      const client = await findClient(directory, tenant.account_id, opened.clients);
      await addGrant(latchkey, tenant.account_id, client, "https://first.example", []);
      const before = (await grantsOf(directory, client)).filter(({ id }) => id !== opened.grants);
      directory.grants.clear();
      await directory.grants.get(cacheKey(tenant.account_id, client.id), async () => before);
      const { status, text } = await opened.take();
      expect([200, 302], text).toContain(status);
    },
  );

  /** Another process changes a client: this one goes on with what it knew. */
  const changedElsewhere = async (client: TestClient, settings: Partial<ClientSettings>): Promise<void> => {
    const { directory } = latchkey.server.core;
    const { account_id } = tenant;
    const before = await findClient(directory, account_id, client.client_id);
    // Two changes of one millisecond are one.
    await new Promise((resolve) => setTimeout(resolve, 2));
    await changeClient(directory, before, { settings }, actor);
    directory.clients.clear();
    for (const name of [client.client_id, client.id])
      await directory.clients.get(cacheKey(account_id, name), async () => before);
  };

  const NEW = "https://shop.example/new";
  const moved = { callbacks: [CALLBACK, NEW] };
  const DEVICE = "urn:ietf:params:oauth:grant-type:device_code" as const;
  const BYE = "https://shop.example/bye";
  const PAGE = "https://page.shop.example";
  const CREDENTIALS = { grant_type: "client_credentials", resource: "https://api.shop.example" };

  const keyPair = async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: randomUUID(), alg: "ES256" }] };
    const assertion = ({ client_id }: TestClient) =>
      new SignJWT({ jti: randomUUID() })
        .setProtectedHeader({ alg: "ES256" })
        .setIssuer(client_id)
        .setSubject(client_id)
        .setAudience(tenant.issuer)
        .setExpirationTime("1m")
        .sign(privateKey);
    return { jwks, assertion };
  };
  const own = async (settings: Partial<ClientSettings>) => {
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, ...settings });
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    return client;
  };
  const byKey = async (client: TestClient, { assertion }: Awaited<ReturnType<typeof keyPair>>) => {
    const client_assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    const form = { ...CREDENTIALS, client_assertion: await assertion(client), client_assertion_type };
    return (await call(`${tenant.base}/oauth/token`, { method: "POST", form })).status;
  };

  const changes: Record<string, () => Promise<number | string>> = {
    async "a callback at oauth/authorize, and at the pages behind it"() {
      const client = await own({});
      await changedElsewhere(client, moved);
      const surfer = openSurfer(latchkey);
      const { directory } = latchkey.server.core;
      const stale = await directory.clients.get(cacheKey(tenant.account_id, client.id), async () => undefined);
      const begun = await surfer.visit(standardClient(latchkey, tenant, client).address(client, { redirect_uri: NEW }));
      if (begun.status !== 200 || !stale) return begun.status;
      directory.clients.clear();
      for (const name of [client.client_id, client.id])
        await directory.clients.get(cacheKey(tenant.account_id, name), async () => stale);
      return (await surfer.visit(begun.url)).status;
    },
    async "a callback at auth/authorize"() {
      const client = await own({});
      await changedElsewhere(client, moved);
      const { client_id } = client;
      const verification_code = await mintCode(tenant, { client_id });
      const { status } = await authorize(tenant, { client_id, verification_code, redirect_uri: NEW });
      return status === 302 ? 200 : status;
    },
    async "a grant type at oauth/token"() {
      const client = await own({ grant_types: ["authorization_code"] });
      await changedElsewhere(client, { grant_types: ["authorization_code", "client_credentials"] });
      return (await standardClient(latchkey, tenant, client).token(CREDENTIALS)).status;
    },
    async "device codes"() {
      const client = await own({ grant_types: ["authorization_code"] });
      await changedElsewhere(client, { grant_types: ["authorization_code", DEVICE] });
      const asking = { method: "POST", headers: { authorization: basic(client) }, form: { scope: "openid" } };
      return (await call(`${tenant.base}/oauth/device_authorization`, asking)).status;
    },
    async "a key in the place of another"() {
      const [first, next] = [await keyPair(), await keyPair()];
      const by_key = { token_endpoint_auth_method: "private_key_jwt", grant_types: ["client_credentials"] } as const;
      const client = await own({ ...by_key, grant_types: [...by_key.grant_types], jwks: first.jwks });
      await changedElsewhere(client, { jwks: next.jwks });
      return await byKey(client, next);
    },
    async "a key in the place of a secret"() {
      const client = await own({ grant_types: ["client_credentials"] });
      const next = await keyPair();
      await changedElsewhere(client, { token_endpoint_auth_method: "private_key_jwt", jwks: next.jwks });
      return await byKey(client, next);
    },
    async "no secret any more"() {
      const client = await own({ grant_types: ["authorization_code"] });
      await changedElsewhere(client, { token_endpoint_auth_method: "none" });
      const { client_id } = client;
      const form = { client_id, response_type: "code", redirect_uri: CALLBACK, scope: "openid", ...pkce };
      return (await call(`${tenant.base}/oauth/par`, { method: "POST", form })).status === 201 ? 200 : 401;
    },
    async "the origin of a page"() {
      const client = await own({ grant_types: ["client_credentials"], allowed_origins: ["https://shop.example"] });
      await changedElsewhere(client, { allowed_origins: [PAGE] });
      const headers = { authorization: basic(client), origin: PAGE };
      return (await call(`${tenant.base}/oauth/token`, { method: "POST", headers, form: CREDENTIALS })).status;
    },
    async "what a client that registered itself reads back"() {
      const json = { redirect_uris: [CALLBACK] };
      const { body } = await call(`${tenant.base}/oauth/register`, { method: "POST", token: tenant.token, json });
      const { id } = await findClient(latchkey.server.core.directory, tenant.account_id, body.client_id);
      await changedElsewhere({ ...body, id }, moved);
      const read = await call(body.registration_client_uri, { token: body.registration_access_token });
      expect(read.body.redirect_uris).toEqual(moved.callbacks);
      return read.status;
    },
    async "an address after logout"() {
      const client = await own({});
      const standard = standardClient(latchkey, tenant, client);
      const { id_token } = (await standard.redeem(await standard.codeFor())).body;
      await changedElsewhere(client, { post_logout_redirect_uris: [BYE] });
      const query = new URLSearchParams({ id_token_hint: id_token, post_logout_redirect_uri: BYE });
      const { url } = await openSurfer(latchkey).visit(`${tenant.issuer}/oauth/logout?${query}`);
      return url.startsWith(BYE) ? 200 : url;
    },
  };
  it.each(Object.keys(changes))("takes what another process has just set at a client: %s", async (what) => {
    expect(await changes[what]?.()).toBe(200);
  });
});

// Two servers share no SQLite file.
describe.runIf(engines.includes("postgres"))("a signing key that another server has just made", () => {
  let here: Latchkey;
  let elsewhere: Latchkey;
  beforeAll(async () => {
    here = await startLatchkey("postgres");
    const { database, config } = here;
    elsewhere = await startLatchkey("postgres", { database, public_url: config.public_url });
  });
  afterAll(async () => {
    await elsewhere.stop();
    await here.close();
  });

  it.each(["at the account API", "by introspection"])("is good at once %s, and published then", async (where) => {
    const { account_id, base, client, token: bearer } = await createTenant(here);
    const known = (token: string) => call(`${base}/auth/settings`, { token });
    const introspected = (token: string) =>
      call(`${base}/oauth/introspect`, { method: "POST", headers: { authorization: basic(client) }, form: { token } });
    const settings = `${elsewhere.url}/v1/accounts/${account_id}/auth/settings`;
    const json = { signing_alg: "EdDSA" };
    expect((await call(settings, { method: "PATCH", token: bearer, json })).status).toBe(200);
    expect((await known(bearer)).status, "with the keys of before").toBe(200);
    const token = await tokenOf(elsewhere, account_id, client);
    const { alg, kid } = headerOf(token);
    expect(alg).toBe("EdDSA");
    if (where === "by introspection") expect((await introspected(token)).body).toMatchObject({ active: true });
    else expect((await known(token)).status).toBe(200);
    const { keys } = (await call(`${base}/oauth/jwks.json`)).body;
    expect(keys.map((key: { kid: string }) => key.kid)).toContain(kid);
  });

  it("is published here before anybody showed a token by it", async () => {
    const { account_id, base, client, token: bearer } = await createTenant(here);
    const kids = async () => (await call(`${base}/oauth/jwks.json`)).body.keys.map(({ kid }: { kid: string }) => kid);
    expect(await kids()).toHaveLength(2);
    const settings = `${elsewhere.url}/v1/accounts/${account_id}/auth/settings`;
    await call(settings, { method: "PATCH", token: bearer, json: { signing_alg: "EdDSA" } });
    const token = await tokenOf(elsewhere, account_id, client);
    const { kid } = headerOf(token);
    expect(await kids()).toContain(kid);
  });
});
