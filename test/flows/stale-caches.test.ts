/**
 * What another process took away lets nobody in here, though this one still remembers it; what another process has just
 * made is good here, though this one still remembers that it was not there.
 */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findClient } from "../../src/directory/clients/find-client.ts";
import { cacheKey } from "../../src/directory/directory.ts";
import { grantsOf } from "../../src/directory/grants/find-grant.ts";
import { describeOnBothEngines, engines } from "../support/engines.ts";
import {
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
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, setPassword, token } from "../support/people.ts";
import { standardClient } from "../support/standard-client.ts";
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
    const { alg, kid } = JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString());
    expect(alg).toBe("EdDSA");
    if (where === "by introspection") expect((await introspected(token)).body).toMatchObject({ active: true });
    else expect((await known(token)).status).toBe(200);
    const { keys } = (await call(`${base}/oauth/jwks.json`)).body;
    expect(keys.map((key: { kid: string }) => key.kid)).toContain(kid);
  });
});
