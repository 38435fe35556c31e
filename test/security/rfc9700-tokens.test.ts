/**
 * The rows about tokens, clients and replies of the OAuth security best current practice (RFC 9700) that no other test
 * has as its subject; docs/security-tests.md lists all.
 */
import { createHmac, generateKeyPairSync, type KeyObject, randomUUID, sign } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { signingKey } from "../../src/tokens/keys/find-key.ts";
import { headerOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  authorize,
  basic,
  CALLBACK,
  call,
  createTenant,
  mintCode,
  newAccountId,
  tokenOf,
} from "../support/latchkey.ts";
import { answered, openScene, type Scene } from "../support/standard-client.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";

describeOnBothEngines("RFC 9700 about tokens", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  it("R13 has no password grant among the standard ones", async () => {
    const form = { grant_type: "password", username: scene.tenant.user.email, password: "correct horse battery" };
    expect((await scene.token(form)).body.error).toBe("unsupported_grant_type");
    const { body } = await call(`${scene.tenant.base}/.well-known/openid-configuration`);
    expect(body.grant_types_supported).not.toContain("password");
  });

  it("R17 binds a refresh token to its scope and client, and ends it when it lies idle, is revoked or logged out", async () => {
    const { latchkey, tenant, own } = scene;
    const logIn = async () => {
      const surfer = openSurfer(latchkey);
      const url = scene.address(own, { scope: "openid email offline_access" });
      const shown = await surfer.logIn(url, tenant, await scene.someone());
      const { body } = await scene.redeem(answered(shown).get("code") ?? "");
      const refresh = (more = {}, client = own) =>
        scene.token({ grant_type: "refresh_token", refresh_token: body.refresh_token, ...more }, client);
      return { surfer, body, refresh };
    };
    const scoped = await logIn();
    expect((await scoped.refresh({ scope: "openid phone" })).body.error).toBe("invalid_scope");
    expect((await scoped.refresh({ scope: "email" })).body.scope).toBe("email");
    const other = await addClient(latchkey, tenant.account_id, { grant_types: ["refresh_token"] });
    const ends = {
      "another client": async ({ refresh }) => void expect((await refresh({}, other)).body.error).toBe("invalid_grant"),
      revoked: async ({ body }) => {
        const headers = { authorization: basic(own) };
        const form = { token: body.refresh_token };
        expect((await call(`${tenant.base}/oauth/revoke`, { method: "POST", headers, form })).status).toBe(200);
      },
      "logged out": async ({ surfer, body }) =>
        void (await surfer.visit(`${tenant.issuer}/oauth/logout?id_token_hint=${body.id_token}`)),
      idle: () => letPass(latchkey, "refresh_families", tenant.account_id, 2_592_001, ["idle_expires_at"]),
    } satisfies Record<string, (login: Awaited<ReturnType<typeof logIn>>) => Promise<void>>;
    for (const [how, end] of Object.entries(ends)) {
      const login = await logIn();
      await end(login);
      expect((await login.refresh()).body.error, how).toBe("invalid_grant");
    }
  });

  it("R18 takes no token that is for another audience, and gives none for what was not granted", async () => {
    await addGrant(
      scene.latchkey,
      scene.tenant.account_id,
      scene.own,
      "https://r18.example",
      ["read"],
      "client_credentials",
    );
    const { body } = await scene.token({ grant_type: "client_credentials", audience: "https://r18.example" });
    expect((await call(`${scene.tenant.base}/auth/clients`, { token: body.access_token })).status).toBe(401);
    const wider = { grant_type: "client_credentials", audience: "https://r18.example", scope: "read write" };
    expect((await scene.token(wider)).body.error).toBe("invalid_scope");
    expect((await scene.token({ grant_type: "client_credentials", audience: "https://no.example" })).status).toBe(400);
  });

  it("R21 lets no client choose a client_id that could be somebody's sub", async () => {
    const user = await addUser(scene.latchkey, scene.tenant.account_id);
    const create = (client_id: string) =>
      call(`${scene.tenant.base}/auth/clients`, {
        method: "POST",
        token: scene.tenant.token,
        json: { client_id, name: "x" },
      });
    for (const client_id of [user.id, randomUUID(), user.id.toUpperCase()])
      expect((await create(client_id)).status, client_id).toBe(400);
    expect((await create(`till-${engine}`)).status).toBe(200);
    const named = await addClient(scene.latchkey, scene.tenant.account_id, {}, `shop-${engine}`);
    await addGrant(scene.latchkey, scene.tenant.account_id, named, scene.tenant.issuer, []);
    const claims = JSON.parse(
      Buffer.from(
        (await tokenOf(scene.latchkey, scene.tenant.account_id, named)).split(".")[1] ?? "",
        "base64url",
      ).toString(),
    );
    expect([claims.sub, claims.subject_type]).toEqual([named.id, "client"]);
  });

  it("R22 redirects with 303, and 302 where the account API says so, never with 307 or 308", async () => {
    const posted = await call(`${scene.tenant.base}/oauth/authorize`, {
      method: "POST",
      form: { client_id: scene.own.client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" },
    });
    expect(posted.status).toBe(303);
    const surfer = openSurfer(scene.latchkey);
    const page = await surfer.visit(scene.address());
    const sent = (form: Record<string, string>) =>
      call(page.url.replace(scene.latchkey.config.public_url, scene.latchkey.url), {
        method: "POST",
        headers: { cookie: [...surfer.jar].map((pair) => pair.join("=")).join("; ") },
        form,
      });
    expect((await sent({ action: "identify", identifier: await scene.someone() })).status).toBe(303);
    const cancelled = await sent({ action: "cancel" });
    expect([cancelled.status, cancelled.headers.get("location")?.startsWith(`${CALLBACK}?error=`)]).toEqual([
      303,
      true,
    ]);
    const logged = await surfer.logIn(scene.address(), scene.tenant, await scene.someone());
    expect([logged.status, answered(logged).has("code")]).toEqual([303, true]);
    expect((await authorize(scene.tenant, { verification_code: await mintCode(scene.tenant) })).status).toBe(302);
    const { paths } = (await call(`${scene.latchkey.url}/openapi.json`)).body;
    expect(JSON.stringify(paths)).not.toMatch(/"30[178]"/);
  });

  it("R24 lets scripts of any origin use the token endpoint and its like, and none the authorization endpoint", async () => {
    const origin = { headers: { origin: "https://app.example" } };
    const allowed = async (path: string, options = {}) =>
      (await call(`${scene.tenant.base}${path}`, { ...origin, ...options })).headers.get("access-control-allow-origin");
    for (const path of ["/oauth/jwks.json", "/.well-known/openid-configuration", "/oauth/userinfo"])
      expect(await allowed(path), path).toBe("*");
    for (const path of [
      "/oauth/token",
      "/oauth/revoke",
      "/oauth/par",
      "/oauth/device_authorization",
      "/oauth/register",
    ])
      expect(await allowed(path, { method: "POST" }), path).toBe("*");
    for (const path of ["/oauth/authorize", "/oauth/logout", "/login", "/device", "/login/consents"]) {
      expect(await allowed(path), path).toBeNull();
      expect(await allowed(path, { method: "OPTIONS" }), path).toBeNull();
    }
    const preflight = await call(`${scene.tenant.base}/oauth/token`, { method: "OPTIONS", ...origin });
    expect(preflight.headers.get("access-control-allow-credentials")).toBeNull();
  });

  it("R25 lets nobody store codes, tokens, pages or errors", async () => {
    const surfer = openSurfer(scene.latchkey);
    const pages = [
      await surfer.visit(scene.address()),
      await surfer.visit(scene.address(scene.own, { redirect_uri: "https://x.example" })),
    ];
    const replies = [
      await scene.redeem(await scene.codeFor()),
      await scene.redeem("x"),
      await call(`${scene.tenant.base}/oauth/userinfo`),
      await authorize(scene.tenant, { verification_code: await mintCode(scene.tenant) }),
      await authorize(scene.tenant, { verification_code: "7KQM4-X2PVD" }),
      await call(`${scene.tenant.base}/auth/token`, { method: "POST", json: {} }),
    ];
    for (const { status, headers } of [...pages, ...replies])
      expect(headers.get("cache-control"), String(status)).toContain("no-store");
  });

  it("R29 does what its metadata says", async () => {
    const { body } = await call(`${scene.tenant.base}/.well-known/openid-configuration`);
    for (const [name, url] of Object.entries(body as Record<string, unknown>)) {
      if (!/_(endpoint|uri)$/.test(name) || typeof url !== "string") continue;
      const at = url.replace(scene.latchkey.config.public_url, scene.latchkey.url);
      const statuses = [(await call(at)).status, (await call(at, { method: "POST", form: {} })).status];
      expect(
        statuses.some((status) => status !== 404 && status !== 405),
        name,
      ).toBe(true);
    }
    for (const endpoint of ["token", "introspection", "revocation"]) {
      expect(body[`${endpoint}_endpoint_auth_methods_supported`], endpoint).toContain("private_key_jwt");
      expect(body[`${endpoint}_endpoint_auth_signing_alg_values_supported`], endpoint).toContain("ES256");
    }
    for (const grant_type of body.grant_types_supported)
      expect((await scene.token({ grant_type })).body.error, grant_type).not.toBe("unsupported_grant_type");
    for (const id_token_signed_response_alg of body.id_token_signing_alg_values_supported) {
      const client = await addClient(scene.latchkey, scene.tenant.account_id, {
        first_party: true,
        id_token_signed_response_alg,
      });
      const { id_token } = (await scene.redeem(await scene.codeFor(client), client)).body;
      const header = headerOf(id_token);
      expect(header.alg).toBe(id_token_signed_response_alg);
    }
    for (const response_mode of body.response_modes_supported)
      expect((await openSurfer(scene.latchkey).visit(scene.address(scene.own, { response_mode }))).html).toContain(
        'value="identify"',
      );
    for (const prompt of body.prompt_values_supported) {
      const shown = await openSurfer(scene.latchkey).visit(scene.address(scene.own, { prompt }));
      const error = shown.url.startsWith(CALLBACK) ? answered(shown).get("error") : null;
      expect(error, prompt).toBe(prompt === "none" ? "login_required" : null);
    }
    const all = body.scopes_supported.join(" ");
    expect((await scene.redeem(await scene.codeFor(scene.own, { scope: all }))).body.scope.split(" ").sort()).toEqual(
      all.split(" ").sort(),
    );
    expect(body.response_types_supported).toEqual(["code"]);
    for (const path of ["/.well-known/oauth-authorization-server"])
      expect((await call(`${scene.tenant.base}${path}`)).body).toEqual(body);
  });

  it("R32 believes no header: none, HS256 with a public key, another kid, jku, x5u, jwk", async () => {
    const [header = "", payload = "", signature = ""] = scene.tenant.token.split(".");
    const real = JSON.parse(Buffer.from(header, "base64url").toString());
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const { tokens, storage } = scene.latchkey.server.core;
    const own = await signingKey(tokens, scene.tenant.account_id, "ES256", storage.now());
    const mine = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = mine.publicKey.export({ format: "jwk" });
    const signed = (fields: object, key: KeyObject = mine.privateKey) => {
      const input = `${encode({ ...real, ...fields })}.${payload}`;
      return `${input}.${sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
    };
    const hs = (key: string | Buffer) => {
      const input = `${encode({ ...real, alg: "HS256" })}.${payload}`;
      return `${input}.${createHmac("sha256", key).update(input).digest("base64url")}`;
    };
    const forged: [string, string][] = [
      ["none", `${encode({ ...real, alg: "none" })}.${payload}.`],
      ["none with a signature", `${encode({ ...real, alg: "none" })}.${payload}.${signature}`],
      ["HS256 with the public key as PEM", hs(own.public_key.export({ format: "pem", type: "spki" }))],
      ["HS256 with the public key as DER", hs(own.public_key.export({ format: "der", type: "spki" }))],
      ["HS256 with the public key as JWK", hs(JSON.stringify(own.public_key.export({ format: "jwk" })))],
      ["HS256 with its kid", hs(String(real.kid))],
      ["another key", signed({})],
      ["another kid", signed({ kid: "../../etc/passwd" })],
      ["no kid", signed({ kid: undefined })],
      ["jku", signed({ jku: `${scene.listener.url}/jwks` })],
      ["x5u", signed({ x5u: `${scene.listener.url}/x5u` })],
      ["jwk", signed({ jwk })],
      ["jwk and its kid", signed({ jwk: { ...jwk, kid: "mine" }, kid: "mine" })],
      ["crit, by the right key", signed({ crit: ["exp"] }, own.private_key)],
    ];
    const status = async (token: string) => (await call(`${scene.tenant.base}/auth/clients`, { token })).status;
    for (const [what, bad] of forged) expect(await status(bad), what).toBe(401);
    expect(await status(signed({}, own.private_key))).toBe(200);
    expect(scene.listener.all.filter(({ path }) => /jwks|x5u/.test(path))).toEqual([]);
  });

  it("R33 reads no bearer from the query", async () => {
    for (const name of ["access_token", "token", "bearer"]) {
      const reply = await call(`${scene.tenant.base}/auth/clients`, { query: { [name]: scene.tenant.token } });
      expect(reply.status).toBe(401);
    }
    expect(
      (await call(`${scene.tenant.base}/oauth/userinfo`, { query: { access_token: scene.tenant.token } })).status,
    ).toBe(401);
  });

  it("R34 takes one way of authentication a request, and no secret in place of a key", async () => {
    const form = { grant_type: "client_credentials", audience: scene.tenant.audience };
    const both = await scene.token({ ...form, client_id: scene.own.client_id, client_secret: scene.own.client_secret });
    expect([both.status, both.body.error]).toEqual([400, "invalid_request"]);
    const naming = async (client_id: string) => (await scene.token({ ...form, client_id }, scene.own)).status !== 401;
    const names = [scene.own.id, scene.own.client_id, scene.tenant.client.client_id, "nobody"];
    expect(await Promise.all(names.map(naming)), "beside Basic").toEqual([true, true, false, false]);
    const by_key = { token_endpoint_auth_method: "private_key_jwt" } as const;
    const brought = "a secret that it brought along from elsewhere";
    const keyed = await addClient(scene.latchkey, scene.tenant.account_id, by_key, undefined, brought);
    expect(keyed.client_secret).toBe(brought);
    expect((await scene.token(form, keyed)).status).toBe(401);
    expect(
      (await scene.token({ ...form, client_id: keyed.client_id, client_secret: keyed.client_secret }, null)).status,
    ).toBe(401);
    expect((await scene.token({ ...form, client_id: keyed.client_id }, null)).status).toBe(401);
    expect((await scene.token({ ...form, client_id: scene.own.client_id }, null)).status).toBe(401);
    const native = await addClient(scene.latchkey, scene.tenant.account_id, { token_endpoint_auth_method: "none" });
    expect((await scene.token({ ...form, client_id: native.client_id, client_secret: "x" }, null)).status).toBe(401);
  });

  it("R35 gives what belongs to one account no worth in another", async () => {
    const other = await createTenant(scene.latchkey, { account_id: newAccountId() });
    const twin = await addClient(scene.latchkey, other.account_id, {
      first_party: true,
      grant_types: ["authorization_code", "refresh_token"],
    });
    const surfer = openSurfer(scene.latchkey);
    const email = await scene.someone();
    const shown = await surfer.logIn(scene.address(scene.own, { scope: "openid offline_access" }), scene.tenant, email);
    const code = answered(shown).get("code") ?? "";
    const there = { grant_type: "authorization_code", code, redirect_uri: CALLBACK };
    expect((await scene.token(there, twin, other.base)).body.error).toBe("invalid_grant");
    const tokens = (await scene.redeem(code)).body;
    const refresh = { grant_type: "refresh_token", refresh_token: tokens.refresh_token };
    expect((await scene.token(refresh, twin, other.base)).body.error).toBe("invalid_grant");
    expect((await call(`${other.base}/oauth/userinfo`, { token: tokens.access_token })).status).toBe(401);
    expect((await scene.token(refresh, scene.own, other.base)).status).toBe(401);
    const silent = {
      client_id: twin.client_id,
      redirect_uri: CALLBACK,
      response_type: "code",
      scope: "openid",
      prompt: "none",
    };
    /** A browser that shows the other account the cookies of this one. */
    const crossed = ({ jar }: Surfer) => {
      const crossing = openSurfer(scene.latchkey);
      for (const [name, value] of jar) crossing.jar.set(name.replace(scene.tenant.account_id, other.account_id), value);
      return crossing;
    };
    const thief = crossed(surfer);
    const asked = await thief.visit(`${other.issuer}/oauth/authorize?${new URLSearchParams(silent)}`);
    expect(answered(asked).get("error")).toBe("login_required");
    const reader = openSurfer(scene.latchkey);
    const page = await reader.visit(scene.address());
    expect((await reader.visit(page.url)).status).toBe(200);
    const elsewhere = page.url.replace(scene.tenant.account_id, other.account_id);
    expect((await crossed(reader).visit(elsewhere)).status).toBe(404);
    const hint = { ...silent, id_token_hint: tokens.id_token };
    const hinted = await thief.visit(`${other.issuer}/oauth/authorize?${new URLSearchParams(hint)}`);
    expect(answered(hinted).get("error")).toBe("invalid_request");
  });
});
