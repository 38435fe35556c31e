/** People who log in at somebody else's OpenID provider, which is a real one here, or a server that lies. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { openUpstream, type Upstream, type UpstreamPerson } from "../support/upstream.ts";

const ALLOW = { EGRESS_ALLOW: "127.0.0.0/8" };

interface Grant {
  readonly client_id: string;
  readonly client_secret: string;
  readonly authority: string;
  readonly trusted_domains?: readonly string[];
}

async function grantOidc(tenant: Tenant, client: TestClient, oidc: Grant): Promise<void> {
  const json = {
    client_id: client.id,
    audience: tenant.audience,
    scope: ["orders:read"],
    type: "authorization_code",
    oidc,
  };
  const reply = await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json });
  expect(reply.status, reply.text).toBe(200);
  expect(reply.text).not.toContain(oidc.client_secret);
}

const exchange = (tenant: Tenant, client: TestClient, fields: object) =>
  call(`${tenant.base}/auth/oidc/token`, {
    method: "POST",
    token: tenant.token,
    json: {
      ...{ grant_type: "authorization_code", client_id: client.client_id, audience: tenant.audience },
      redirect_uri: CALLBACK,
      ...fields,
    },
  });

const subjectOf = (token: string) => claimsOf(token).sub;

describeOnBothEngines("a login at a real upstream provider", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let upstream: Upstream;
  let client: TestClient;
  let people: Record<string, UpstreamPerson>;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: ALLOW });
    tenant = await createTenant(latchkey);
    people = {
      ada: { email: tenant.user.email, email_verified: true, name: "Ada Upstream" },
      unverified: { email: tenant.user.email, email_verified: false },
      elsewhere: { email: "mallory@elsewhere.example", email_verified: true },
      new: { email: "new@example.com", email_verified: true, name: "New Person" },
    };
    upstream = await openUpstream(people);
    client = await addClient(latchkey, tenant.account_id, { signup: false });
    const { client_id, client_secret, issuer: authority } = upstream;
    await grantOidc(tenant, client, { client_id, client_secret, authority, trusted_domains: ["example.com"] });
  });
  afterAll(async () => {
    await upstream.close();
    await latchkey.close();
  });

  it("joins the user whose verified address it may speak for, and knows them again by issuer and sub alone", async () => {
    const reply = await exchange(tenant, client, { code: await upstream.logIn("ada") });
    expect(reply.status, reply.text).toBe(200);
    expect(reply.body).toMatchObject({
      token_type: "Bearer",
      user_info: { authority: upstream.issuer, value: { sub: "ada" } },
    });
    expect(subjectOf(reply.body.access_token)).toBe(tenant.user.id);
    expect(reply.headers.get("cache-control")).toBe("no-store");
    people.ada = { email: "moved@elsewhere.example", email_verified: true };
    const again = await exchange(tenant, client, { code: await upstream.logIn("ada") });
    expect(again.status, again.text).toBe(200);
    expect(subjectOf(again.body.access_token)).toBe(tenant.user.id);
    const namesake = await openUpstream({ ada: { email: "moved@elsewhere.example", email_verified: true } });
    const other = await addClient(latchkey, tenant.account_id, { signup: false });
    const { client_id, client_secret, issuer: authority } = namesake;
    await grantOidc(tenant, other, { client_id, client_secret, authority, trusted_domains: ["example.com"] });
    const refused = await exchange(tenant, other, { code: await namesake.logIn("ada") });
    expect([refused.status, refused.body.error.code]).toEqual([403, "user_not_linked"]);
    await namesake.close();
  });

  it("joins nobody by an address that is not verified, or of a domain that it is not trusted with", async () => {
    for (const sub of ["unverified", "elsewhere"]) {
      const reply = await exchange(tenant, client, { code: await upstream.logIn(sub) });
      expect([reply.status, reply.body.error.code]).toEqual([403, "user_not_linked"]);
    }
    const rows = latchkey.server.core.storage.read
      .selectFrom("audit_events")
      .select(["outcome", "entity", "context"])
      .where("account_id", "=", tenant.account_id)
      .where("action", "=", "upstream_login.refused")
      .where("entity", "=", client.id);
    const events = (await rows.execute()).map((row) => ({ ...row, context: JSON.parse(row.context) }));
    const context = { client_id: client.id, reason: "user_not_linked" };
    expect(events).toMatchObject(Array(2).fill({ outcome: "failure", entity: client.id, context }));
  });

  it("joins nobody by an address that somebody merely entered: its owner is somebody new, where people may sign up", async () => {
    const clerk = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, clerk, tenant.issuer, ["create:customers:/users"]);
    const token = await tokenOf(latchkey, tenant.account_id, clerk);
    const email = "entered@example.com";
    people.entered = { email, email_verified: true };
    const path = `${tenant.base}/customers/users`;
    const made = await call(path, { method: "POST", token, json: { email, customer_id: "entered" } });
    expect(made.status, made.text).toBe(200);
    const refused = await exchange(tenant, client, { code: await upstream.logIn("entered") });
    expect([refused.status, refused.body.error?.code]).toEqual([403, "user_not_linked"]);
    const open = await addClient(latchkey, tenant.account_id, { signup: true });
    const { client_id, client_secret, issuer: authority } = upstream;
    await grantOidc(tenant, open, { client_id, client_secret, authority, trusted_domains: ["example.com"] });
    const created = await exchange(tenant, open, { code: await upstream.logIn("entered") });
    expect(created.status, created.text).toBe(200);
    const sub = subjectOf(created.body.access_token);
    const shown = async (id: string) => (await call(`${path}/${id}`, { token: tenant.token })).body;
    expect(sub).not.toBe(made.body.id);
    expect([(await shown(sub)).email, (await shown("entered")).email]).toEqual([email, undefined]);
  });

  it("signs new people up only where the client says so, without an address that nobody vouches for", async () => {
    const refused = await exchange(tenant, client, { code: await upstream.logIn("new") });
    expect([refused.status, refused.body.error.code]).toEqual([403, "user_not_linked"]);
    const open = await addClient(latchkey, tenant.account_id, { signup: true });
    const { client_id, client_secret, issuer: authority } = upstream;
    await grantOidc(tenant, open, { client_id, client_secret, authority, trusted_domains: ["example.com"] });
    const created = await exchange(tenant, open, { code: await upstream.logIn("new") });
    expect(created.status, created.text).toBe(200);
    const found = await call(`${tenant.base}/customers/users/${subjectOf(created.body.access_token)}`, {
      token: tenant.token,
    });
    expect(found.body).toMatchObject({ email: "new@example.com", name: "New Person" });
    const stranger = await exchange(tenant, open, { code: await upstream.logIn("elsewhere") });
    const unknown = await call(`${tenant.base}/customers/users/${subjectOf(stranger.body.access_token)}`, {
      token: tenant.token,
    });
    expect(unknown.body.email).toBeUndefined();
  });

  it("signs a new person up once, of however many first logins at the same time", async () => {
    const open = await addClient(latchkey, tenant.account_id, { signup: true });
    const { client_id, client_secret, issuer: authority } = upstream;
    await grantOidc(tenant, open, { client_id, client_secret, authority, trusted_domains: [] });
    for (const sub of ["twin-1", "twin-2", "twin-3"]) {
      const codes: string[] = [];
      for (let n = 0; n < 4; n++) codes.push(await upstream.logIn(sub));
      const replies = await Promise.all(codes.map((code) => exchange(tenant, open, { code })));
      for (const reply of replies) expect(reply.status, reply.text).toBe(200);
      expect(new Set(replies.map(({ body }) => subjectOf(body.access_token))).size).toBe(1);
    }
  });

  it("checks nonce and code_verifier, and redeems a code once", async () => {
    const nonce = "n-0S6_WzA2Mj";
    const wrong = await exchange(tenant, client, { code: await upstream.logIn("ada", { nonce: "another" }), nonce });
    expect([wrong.status, wrong.body.error.code]).toEqual([400, "upstream_login_failed"]);
    expect(wrong.body.error.message).toContain("nonce");
    const code = await upstream.logIn("ada", { nonce });
    expect((await exchange(tenant, client, { code, nonce })).status).toBe(200);
    const twice = await exchange(tenant, client, { code, nonce });
    expect(twice.body.error.message).toContain("invalid_grant");
    const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const bound = await upstream.logIn("ada", { code_challenge: challenge, code_challenge_method: "S256" });
    expect((await exchange(tenant, client, { code: bound })).status).toBe(400);
    const again = await upstream.logIn("ada", { code_challenge: challenge, code_challenge_method: "S256" });
    const code_verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    expect((await exchange(tenant, client, { code: again, code_verifier })).status).toBe(200);
  });

  it("takes no redirect_uri that is not registered, and no client without such a grant", async () => {
    const foreign = await exchange(tenant, client, { code: "x", redirect_uri: "https://evil.example/" });
    expect([foreign.status, foreign.body.error.code]).toEqual([400, "redirect_uri_mismatch"]);
    const without = await exchange(tenant, tenant.client, { code: "x" });
    expect([without.status, without.body.error.code]).toEqual([403, "unauthorized_client"]);
  });

  it("is no login for a client of the other kind of user than the one whom it is linked to", async () => {
    const { client_id, client_secret, issuer: authority } = upstream;
    const oidc = { client_id, client_secret, authority, trusted_domains: ["example.com"] };
    const [people_of, companies_of] = [
      await addClient(latchkey, tenant.account_id, { signup: true }),
      await addClient(latchkey, tenant.account_id, { signup: true, user_type: "company" }),
    ];
    for (const own of [people_of, companies_of]) await grantOidc(tenant, own, oidc);
    for (const [sub, first, second] of [
      ["person", people_of, companies_of],
      ["firm", companies_of, people_of],
    ] as const) {
      people[sub] = { email: `${sub}@example.com`, email_verified: true };
      const made = await exchange(tenant, first, { code: await upstream.logIn(sub) });
      expect(made.status, made.text).toBe(200);
      const refused = await exchange(tenant, second, { code: await upstream.logIn(sub) });
      expect([refused.status, refused.body.error?.code], sub).toEqual([403, "user_not_linked"]);
      expect(refused.body.error.message).toContain("another type");
      const again = await exchange(tenant, first, { code: await upstream.logIn(sub) });
      expect(subjectOf(again.body.access_token)).toBe(subjectOf(made.body.access_token));
    }
    const { storage } = latchkey.server.core;
    const rows = storage.read
      .selectFrom("audit_events")
      .select(["action", "context"])
      .where("account_id", "=", tenant.account_id)
      .where("action", "in", ["auth.oidc_token", "upstream_login.refused"]);
    const of = (await rows.execute()).map(({ action, context }) => [action, JSON.parse(context).client_id]);
    for (const own of [people_of, companies_of]) {
      const actions = of.filter(([, id]) => id === own.id).map(([action]) => action);
      expect(actions.toSorted()).toEqual(["auth.oidc_token", "auth.oidc_token", "upstream_login.refused"]);
    }
  });

  it("decides about no account user, whatever it says", async () => {
    const staff = await addClient(latchkey, tenant.account_id, { user_type: "account_user", signup: true });
    const { client_id, client_secret, issuer: authority } = upstream;
    await grantOidc(tenant, staff, { client_id, client_secret, authority, trusted_domains: ["example.com"] });
    const reply = await exchange(tenant, staff, { code: await upstream.logIn("ada") });
    expect([reply.status, reply.body.error.code]).toEqual([403, "user_not_linked"]);
  });
});

type Lie =
  | "iss"
  | "aud"
  | "key"
  | "expired"
  | "azp"
  | "alg none"
  | "sub"
  | "garbage"
  | "hang"
  | "metadata"
  | "redirect"
  | "huge"
  | "long ago"
  | "strongly";

describeOnBothEngines("an upstream provider that lies", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let server: Server;
  let issuer: string;
  let client: TestClient;
  let lie: Lie | undefined;
  beforeAll(async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    const other = await generateKeyPair("ES256");
    const jwk = { ...(await exportJWK(publicKey)), kid: "1", alg: "ES256", use: "sig" };
    const idToken = async () => {
      const now = Math.floor(Date.now() / 1000);
      const claims = {
        email: "ada@example.com",
        email_verified: true,
        ...(lie === "azp" ? { azp: "another" } : {}),
        ...(lie === "long ago" ? { auth_time: now - 3_600.5 } : {}),
        ...(lie === "strongly" ? { amr: ["hwk", "mfa"], acr: "urn:latchkey:acr:2fa" } : {}),
      };
      if (lie === "alg none")
        return `${Buffer.from('{"alg":"none"}').toString("base64url")}.${Buffer.from(JSON.stringify({ iss: issuer, sub: "ada", aud: "latchkey", exp: now + 60, iat: now })).toString("base64url")}.`;
      const jwt = new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: "1" }).setIssuedAt(now);
      jwt
        .setIssuer(lie === "iss" ? "https://evil.example" : issuer)
        .setAudience(lie === "aud" ? "another" : "latchkey");
      if (lie !== "sub") jwt.setSubject("ada");
      jwt.setExpirationTime(lie === "expired" ? now - 120 : now + 60);
      return jwt.sign(lie === "key" ? other.privateKey : privateKey);
    };
    server = createServer(async (request, response) => {
      const answer = (body: object | string) =>
        response
          .setHeader("content-type", "application/json")
          .end(typeof body === "string" ? body : JSON.stringify(body));
      if (lie === "hang") return;
      if (request.url?.endsWith("/openid-configuration")) {
        if (lie === "redirect") return void response.writeHead(302, { location: "http://127.0.0.1:1/" }).end();
        const named = lie === "metadata" ? "https://evil.example" : issuer;
        return void answer({ issuer: named, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks` });
      }
      if (request.url?.endsWith("/jwks")) return void answer({ keys: [jwk] });
      if (lie === "garbage") return void answer("<html>");
      if (lie === "huge") return void answer(`"${"x".repeat(100_000)}"`);
      answer({ id_token: await idToken(), access_token: "x", token_type: "Bearer" });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    latchkey = await startLatchkey(engine, { env: ALLOW });
  });
  afterAll(async () => {
    await latchkey.close();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  });

  const cases: [Lie, RegExp][] = [
    ["iss", /iss/],
    ["aud", /aud/],
    ["azp", /azp/],
    ["key", /signature/],
    ["expired", /exp/],
    ["sub", /sub/],
    ["alg none", /alg|compact|refused/i],
    ["garbage", /no JSON/],
    ["huge", /more than/],
    ["metadata", /another issuer/],
    ["redirect", /302/],
    ["hang", /in time/],
  ];
  it.each(cases)("gets nowhere with %s, and the caller reads why soon", async (kind, why) => {
    tenant = await createTenant(latchkey);
    client = await addClient(latchkey, tenant.account_id, { signup: true });
    // A path of its own, so that no document of the case before is remembered.
    const real = issuer;
    const authority = `${issuer}/${cases.findIndex(([name]) => name === kind)}`;
    issuer = authority;
    await grantOidc(tenant, client, { client_id: "latchkey", client_secret: "upstream-secret", authority });
    lie = kind;
    const started = Date.now();
    const reply = await exchange(tenant, client, { code: "x" });
    expect(Date.now() - started, "milliseconds").toBeLessThan(15_000);
    expect([reply.status, reply.body.error.code], reply.text).toEqual([400, "upstream_login_failed"]);
    expect(reply.body.error.message).toMatch(why);
    lie = undefined;
    if (!["metadata", "redirect", "hang"].includes(kind)) {
      expect((await exchange(tenant, client, { code: "x" })).status).toBe(200);
    }
    issuer = real;
  });

  it("is believed when it says that somebody logged in there long ago", async () => {
    tenant = await createTenant(latchkey);
    client = await addClient(latchkey, tenant.account_id, { signup: true });
    await grantOidc(tenant, client, { client_id: "latchkey", client_secret: "upstream-secret", authority: issuer });
    lie = "long ago";
    const { body } = await exchange(tenant, client, { code: "x" });
    lie = undefined;
    const claims = claimsOf(body.access_token);
    expect(claims.iat - claims.auth_time).toBeGreaterThanOrEqual(3_600);
  });

  it("is not believed when it says how strongly it recognised somebody", async () => {
    tenant = await createTenant(latchkey);
    client = await addClient(latchkey, tenant.account_id, { signup: true });
    await grantOidc(tenant, client, { client_id: "latchkey", client_secret: "upstream-secret", authority: issuer });
    lie = "strongly";
    const { body } = await exchange(tenant, client, { code: "x" });
    lie = undefined;
    expect(claimsOf(body.access_token)).toMatchObject({ amr: [], acr: "urn:latchkey:acr:1fa" });
  });

  it("is never asked at an address that the operator did not open", async () => {
    const closed = await startLatchkey(engine);
    const own = await createTenant(closed);
    const app = await addClient(closed, own.account_id);
    for (const authority of [
      issuer,
      "http://localhost:1",
      "https://10.0.0.1",
      "https://169.254.169.254",
      "https://[::1]",
      "https://[::ffff:127.0.0.1]",
    ]) {
      const { id } = await addClient(closed, own.account_id);
      await grantOidc(
        own,
        { ...app, id, client_id: id },
        { client_id: "latchkey", client_secret: "upstream-secret", authority },
      );
      const reply = await exchange(own, { ...app, client_id: id }, { code: "x" });
      expect([reply.status, reply.body.error.code], authority).toEqual([400, "upstream_login_failed"]);
      expect(reply.body.error.message).toContain("not a public https address");
    }
    await closed.close();
  });
});
