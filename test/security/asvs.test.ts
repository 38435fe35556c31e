/**
 * The rows of OWASP ASVS 5.0 about HTTP, factors, sessions, keys and settings that no other test has as its subject;
 * docs/security-tests.md lists all.
 */
import { createHash } from "node:crypto";
import { request } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { keysOf } from "../../src/tokens/keys/find-key.ts";
import { keySweep } from "../../src/tokens/keys/rotate-key.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addUser, askForCode, call, createTenant, mintCode, startLatchkey } from "../support/latchkey.ts";
import { findLeaks, readDatabase } from "../support/leaks.ts";
import { answered, openScene, type Scene } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("OWASP ASVS 5.0", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  /** One request with any method, which fetch would not send; its status. */
  const statusOf = (method: string, path: string) =>
    new Promise<number>((resolve, reject) => {
      const { port } = new URL(scene.latchkey.url);
      const sent = request({ host: "127.0.0.1", port, method, path }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.on("error", reject).end();
    });

  it("4.1.1 says of every body what it is, and in which characters", async () => {
    const { tenant, latchkey } = scene;
    const page = { headers: { accept: "text/html" } };
    const rows = [
      [`${tenant.base}/auth/clients`, { token: tenant.token }, /^application\/json; charset=utf-8$/],
      [`${tenant.base}/auth/clients`, {}, /^application\/json; charset=utf-8$/],
      [`${tenant.base}/oauth/authorize?client_id=nobody`, page, /^text\/html; charset=utf-8$/],
      [`${tenant.base}/login/consents`, page, /^text\/html; charset=utf-8$/],
      [`${tenant.base}/oauth/jwks.json`, {}, /^application\/(jwk-set\+)?json/],
      [`${tenant.base}/.well-known/openid-configuration`, {}, /^application\/json; charset=utf-8$/],
      [`${latchkey.url}/openapi.json`, {}, /^application\/json; charset=utf-8$/],
      [`${latchkey.url}/metrics`, {}, /^text\/plain;.* charset=utf-8$/],
      [`${latchkey.url}/healthz`, {}, /^application\/json; charset=utf-8$/],
      [`${latchkey.url}/nowhere`, {}, /^application\/json; charset=utf-8$/],
      [`${latchkey.url}/%zz`, {}, /^application\/json; charset=utf-8$/],
    ] as const;
    for (const [url, options, expected] of rows) {
      const reply = await call(url, options);
      expect(reply.text, url).not.toBe("");
      expect(reply.headers.get("content-type"), url).toMatch(expected);
      expect(reply.headers.get("x-content-type-options"), url).toBe("nosniff");
    }
  });

  it("4.1.2 leads no request that came by http over to https", async () => {
    const env = { PUBLIC_URL: "https://login.example", TRUSTED_PROXIES: "127.0.0.1" };
    const secure = await startLatchkey(engine, { env });
    try {
      const { account_id } = await createTenant(secure);
      const headers = { "x-forwarded-proto": "http" };
      for (const path of ["/auth/clients", "/oauth/token", "/oauth/jwks.json", "/auth/authorize"]) {
        const { status } = await call(`${secure.url}/v1/accounts/${account_id}${path}`, { headers });
        expect([200, 401, 404, 405], path).toContain(status);
      }
    } finally {
      await secure.close();
    }
  });

  it("4.1.4 answers the methods that a route has, and no other", async () => {
    const base = `/v1/accounts/${scene.tenant.account_id}`;
    for (const [path, methods] of [
      [`${base}/auth/authorize`, ["GET", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"]],
      [`${base}/oauth/token`, ["GET", "PUT", "DELETE", "TRACE"]],
      [`${base}/oauth/jwks.json`, ["POST", "PUT", "DELETE", "TRACE"]],
      ["/healthz", ["POST", "PUT", "DELETE", "TRACE"]],
    ] as const)
      for (const method of methods) expect([404, 405], `${method} ${path}`).toContain(await statusOf(method, path));
    expect(await statusOf("GET", "/healthz")).toBe(200);
  });

  it("6.3.2 has no account, client or person that nobody made", async () => {
    const bare = await startLatchkey(engine, { env: { PUBLIC_URL: "https://login.example", DEMO: undefined } });
    const { read } = bare.server.core.storage;
    const rows = await Promise.all(
      (["accounts", "clients", "users"] as const).map((table) => read.selectFrom(table).select("account_id").execute()),
    );
    await bare.close();
    expect(rows).toEqual([[], [], []]);
    const known = await scene.latchkey.server.core.storage.read.selectFrom("accounts").select("account_id").execute();
    expect(known.map(({ account_id }) => account_id)).toContain(scene.tenant.account_id);
  });

  it("6.5.3 draws every code from sixteen random bytes of its own", async () => {
    const { latchkey } = scene;
    const tenant = await createTenant(latchkey);
    for (let n = 0; n < 40; n++) await askForCode(tenant, { email: `p${n}@example.com` });
    const user = await addUser(latchkey, tenant.account_id);
    for (let n = 0; n < 5; n++) await mintCode({ ...tenant, user });
    const rows = await latchkey.server.core.storage.read
      .selectFrom("verification_codes")
      .select("challenge_id")
      .where("account_id", "=", tenant.account_id)
      .execute();
    const challenges = rows.map(({ challenge_id }) => Buffer.from(challenge_id));
    expect(challenges.length).toBe(45);
    expect(new Set(challenges.map((bytes) => bytes.toString("hex"))).size).toBe(45);
    expect(challenges.every(({ length }) => length === 16)).toBe(true);
    // Of 5,760 fair bits, fewer or more than this many ones come up once in a billion draws.
    const ones = challenges.flatMap((bytes) => [...bytes]).reduce((sum, byte) => sum + popCount(byte), 0);
    expect(Math.abs(ones - 2_880)).toBeLessThan(235);
  });

  it("7.2.3 gives a browser 256 random bits, and keeps only their digest", async () => {
    const surfer = openSurfer(scene.latchkey);
    await surfer.logIn(scene.address(), scene.tenant, await scene.someone());
    const values = new Set<string>();
    for (let n = 0; n < 10; n++) {
      const other = openSurfer(scene.latchkey);
      await other.visit(scene.address());
      for (const value of other.jar.values()) values.add(value);
    }
    for (const value of surfer.jar.values()) values.add(value);
    expect(values.size).toBeGreaterThanOrEqual(11);
    for (const value of values) expect(value).toMatch(/^[\w-]{43}$/);
    const stored = await readDatabase(scene.latchkey.server.core.storage);
    const latin = (bytes: Buffer) => bytes.toString("latin1");
    const issued = [...values].flatMap((value) => [value, latin(Buffer.from(value, "base64url"))]);
    const about = new Map(issued.map((value) => [value, "a cookie"]));
    expect(findLeaks(about, new Map([["the database", stored]]))).toEqual([]);
    for (const value of values) expect(stored).toContain(latin(createHash("sha256").update(value).digest()));
  });

  it("7.4.2 ends everything of a person with them: browser, tokens and what would renew them", async () => {
    const { latchkey, tenant } = scene;
    const user = await addUser(latchkey, tenant.account_id);
    const surfer = openSurfer(latchkey);
    const shown = await surfer.logIn(scene.address(scene.own, { scope: "openid offline_access" }), tenant, user.email);
    const tokens = (await scene.redeem(answered(shown).get("code") ?? "")).body;
    const silently = async () =>
      answered(await surfer.visit(scene.address(scene.own, { prompt: "none" }))).get("error");
    const userinfo = async () => (await call(`${tenant.base}/oauth/userinfo`, { token: tokens.access_token })).status;
    expect([await silently(), await userinfo()]).toEqual([null, 200]);
    const path = `${tenant.base}/customers/users/${user.id}`;
    expect((await call(path, { method: "DELETE", token: tenant.token })).status).toBe(200);
    expect([await silently(), await userinfo()]).toEqual(["login_required", 401]);
    const renewed = await scene.token({ grant_type: "refresh_token", refresh_token: tokens.refresh_token });
    expect(renewed.body.error).toBe("invalid_grant");
  });

  it("10.4.13 takes pushed requests alone from clients that are held to them", async () => {
    const held = await addClient(scene.latchkey, scene.tenant.account_id, {
      first_party: true,
      require_pushed_authorization_requests: true,
    });
    const refused = await openSurfer(scene.latchkey).visit(scene.address(held));
    expect(answered(refused).get("error")).toBe("invalid_request");
    const { tenant } = scene;
    const about = Object.fromEntries(new URL(scene.address(held)).searchParams);
    const headers = {
      authorization: `Basic ${Buffer.from(`${held.client_id}:${held.client_secret}`).toString("base64")}`,
    };
    const pushed = await call(`${tenant.base}/oauth/par`, { method: "POST", headers, form: about });
    expect(pushed.status).toBe(201);
    const query = new URLSearchParams({ client_id: held.client_id, request_uri: pushed.body.request_uri });
    const page = await openSurfer(scene.latchkey).visit(`${tenant.issuer}/oauth/authorize?${query}`);
    expect(page.html).toContain('value="identify"');
  });

  it("10.6.2 asks before it logs out a person whom no ID token names", async () => {
    const { tenant } = scene;
    const surfer = openSurfer(scene.latchkey);
    await surfer.logIn(scene.address(), tenant, await scene.someone());
    const silently = async () =>
      answered(await surfer.visit(scene.address(scene.own, { prompt: "none" }))).get("error");
    const asked = await surfer.visit(`${tenant.issuer}/oauth/logout`);
    expect(asked.html).toContain('name="confirm" value="yes"');
    expect(await silently()).toBeNull();
    const crossed = await call(`${tenant.base}/oauth/logout`, {
      method: "POST",
      headers: {
        "sec-fetch-site": "cross-site",
        cookie: [...surfer.jar].map(([name, value]) => `${name}=${value}`).join("; "),
      },
      form: { confirm: "yes" },
    });
    expect(crossed.status).toBeLessThan(500);
    expect(await silently()).toBeNull();
    await surfer.visit(`${tenant.issuer}/oauth/logout`, { confirm: "yes" });
    expect(await silently()).toBe("login_required");
  });

  it("13.3.4 replaces signing keys that are ninety days old by themselves", async () => {
    const { latchkey } = scene;
    const { tokens, storage } = latchkey.server.core;
    const { account_id } = await createTenant(latchkey);
    const before = (await keysOf(tokens, account_id)).filter(({ alg }) => alg === "ES256");
    expect(before).toHaveLength(1);
    const made = async (days: number) => {
      const at = new Date(storage.now() - days * 86_400_000).toISOString();
      await storage.write(async ({ db }) => {
        const times = { created_at: at, active_at: at };
        await db.updateTable("signing_keys").set(times).where("account_id", "=", account_id).execute();
      });
      await keySweep(tokens, async () => 86_400).sweep(storage, 100);
      const rows = storage.read.selectFrom("signing_keys").select("kid").where("account_id", "=", account_id);
      return (await rows.where("alg", "=", "ES256").execute()).length;
    };
    expect(await made(89)).toBe(1);
    expect(await made(91)).toBe(2);
  });
});

const popCount = (byte: number) => byte.toString(2).replaceAll("0", "").length;
