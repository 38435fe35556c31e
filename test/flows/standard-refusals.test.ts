/** In which words the standard surface refuses, by the document that each address follows. */
import { randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openKey } from "../support/dpop.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addGrant, addUser, basic, CALLBACK, call, inbox } from "../support/latchkey.ts";
import { answered, openScene, type Scene } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("a refusal of the standard surface", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  it("says of an API that a client holds no grant for that it is no target, whatever the grant type", async () => {
    const { latchkey, tenant } = scene;
    const service = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, service, tenant.audience, ["orders:read"]);
    const nowhere = "https://nowhere.example";
    const asked = (about: Record<string, string>, client = service) =>
      scene.token({ grant_type: "client_credentials", ...about }, client);
    for (const about of [{ resource: nowhere }, { audience: nowhere }]) {
      const { status, body } = await asked(about);
      expect([status, body.error], JSON.stringify(about)).toEqual([400, "invalid_target"]);
    }
    expect((await asked({ resource: tenant.audience })).status).toBe(200);
    const settings = { grant_types: ["authorization_code"] as ["authorization_code"] };
    const login = await addClient(latchkey, tenant.account_id, settings);
    expect((await asked({ resource: nowhere }, login)).body.error, "no such grant type").toBe("unauthorized_client");
    const json = { grant_type: "client_credentials", audience: nowhere };
    const own = { method: "POST", headers: { authorization: basic(service) }, json };
    const { status, body } = await call(`${tenant.base}/auth/token`, own);
    expect([status, body.error.code]).toEqual([403, "unauthorized_client"]);
  });

  it("names what to do where neither request nor client says which API is meant, and guesses at none", async () => {
    const { latchkey, tenant } = scene;
    const service = await addClient(latchkey, tenant.account_id, { first_party: true });
    await addGrant(latchkey, tenant.account_id, service, tenant.audience, ["orders:read"]);
    const ask = (more = {}) => scene.token({ grant_type: "client_credentials", ...more }, service);
    for (const more of [{}, { scope: "orders:read" }]) {
      const { status, body } = await ask(more);
      expect([status, body.error], JSON.stringify(more)).toEqual([400, "invalid_target"]);
      expect(body.error_description).toContain("default_audience");
    }
    const authorized = async () =>
      answered(await openSurfer(latchkey).visit(scene.address(service, { scope: "openid orders:read" })));
    expect((await authorized()).get("error")).toBe("invalid_scope");
    expect((await authorized()).get("error_description")).toContain("default_audience");
    const json = { default_audience: tenant.audience };
    const changed = { method: "PATCH", token: tenant.token, json };
    expect((await call(`${tenant.base}/auth/clients/${service.id}`, changed)).status).toBe(200);
    expect((await ask({ scope: "orders:read" })).body.scope).toBe("orders:read");
    expect((await authorized()).get("error")).toBeNull();
  });

  it("tells what would be answered with tokens in the fragment, where no query may be", async () => {
    const error = "unsupported_response_type";
    const parts = async (more: Record<string, string>) => {
      const { search, hash } = new URL((await openSurfer(scene.latchkey).visit(scene.address(scene.own, more))).url);
      const told = [search, hash].map((part) => new URLSearchParams(part.slice(1)));
      expect(told.map((answer) => answer.get("iss")).filter(Boolean)).toEqual([scene.tenant.issuer]);
      return told.map((answer) => answer.get("error"));
    };
    for (const response_type of ["token", "id_token", "id_token token", "code id_token", "code token"])
      for (const mode of [{}, { response_mode: "query" }, { response_mode: "fragment" }])
        expect(await parts({ response_type, ...mode }), response_type).toEqual([null, error]);
    for (const response_type of ["none", "device", "tokens"])
      expect(await parts({ response_type }), response_type).toEqual([error, null]);
  });

  it("tells a client that names a request of its own by its address that this is not supported", async () => {
    const { latchkey, tenant, own, listener } = scene;
    const before = listener.all.length;
    const request_uri = `${listener.url}/request.jwt`;
    const told = async (more: Record<string, string>) =>
      openSurfer(latchkey).visit(scene.address(own, { request_uri, state: "s", ...more }));
    const answer = answered(await told({}));
    expect([answer.get("error"), answer.get("state"), answer.get("iss")]).toEqual([
      ...["request_uri_not_supported", "s", tenant.issuer],
    ]);
    for (const more of [{ redirect_uri: "https://evil.example/" }, { client_id: "nobody" }] as Record<string, string>[])
      expect((await told(more)).status, JSON.stringify(more)).toBe(400);
    expect(answered(await told({ request_uri: "urn:ietf:params:oauth:request_uri:x" })).get("error")).toBeNull();
    expect(listener.all.length, "and it is never fetched").toBe(before);
  });

  it("tells a client that has to push its requests so at its address", async () => {
    const { latchkey, tenant } = scene;
    const settings = { first_party: true, require_pushed_authorization_requests: true };
    const client = await addClient(latchkey, tenant.account_id, settings);
    const answer = answered(await openSurfer(latchkey).visit(scene.address(client, { state: "s" })));
    expect([answer.get("error"), answer.get("state"), answer.get("iss")]).toEqual([
      ...["invalid_request", "s", tenant.issuer],
    ]);
  });

  it("refuses a method in the form that the address has for its other errors", async () => {
    const { latchkey, tenant } = scene;
    const { pathname } = new URL(tenant.issuer);
    for (const address of [
      `${tenant.issuer}/.well-known/openid-configuration`,
      `${latchkey.url}/.well-known/oauth-authorization-server${pathname}`,
      `${latchkey.url}/.well-known/oauth-protected-resource${pathname}`,
      `${tenant.issuer}/oauth/userinfo`,
    ]) {
      const { status, body, headers } = await call(address, { method: "DELETE" });
      expect([status, body.error, typeof body.error_description], address).toEqual([
        ...[405, "method_not_allowed", "string"],
      ]);
      expect([headers.has("allow"), headers.get("access-control-allow-origin")], address).toEqual([true, "*"]);
    }
    const { status, body } = await call(`${tenant.base}/auth/token`, { method: "DELETE" });
    expect([status, body.error.code]).toEqual([405, "method_not_allowed"]);
  });

  it("that asks for a nonce has spent nothing that came with it", async () => {
    const { latchkey, tenant } = scene;
    const keys = await generateKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256" }] };
    const token_endpoint_auth_method = "private_key_jwt";
    const client = await addClient(latchkey, tenant.account_id, { token_endpoint_auth_method, jwks });
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    const key = await openKey(tenant.issuer);
    for (const [path, form] of [
      ["token", { grant_type: "client_credentials", audience: tenant.audience }],
      ["par", { response_type: "code", redirect_uri: CALLBACK, scope: "openid" }],
    ] as const) {
      const client_assertion = await new SignJWT({ jti: randomUUID() })
        .setProtectedHeader({ alg: "ES256", kid: "1" })
        .setIssuer(client.client_id)
        .setSubject(client.client_id)
        .setAudience(tenant.issuer)
        .setExpirationTime("1m")
        .sign(keys.privateKey);
      const client_assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
      const ask = async (nonce?: string) =>
        call(`${tenant.issuer}/oauth/${path}`, {
          method: "POST",
          headers: { dpop: await key.proof({ nonce }, {}, `/oauth/${path}`) },
          form: { ...form, client_assertion, client_assertion_type },
        });
      const first = await ask();
      expect([first.status, first.body.error], path).toEqual([400, "use_dpop_nonce"]);
      const nonce = first.headers.get("dpop-nonce") ?? "";
      expect((await ask(nonce)).status, path).toBe(path === "par" ? 201 : 200);
      const again = await ask(nonce);
      expect([again.status, again.body.error], `${path}: once, though`).toEqual([401, "invalid_client"]);
    }
  });

  it("says of a refresh token or a device code of another server's form that it is over, however long it is", async () => {
    const { latchkey, tenant, own } = scene;
    const device_code = "urn:ietf:params:oauth:grant-type:device_code";
    const device = await addClient(latchkey, tenant.account_id, { grant_types: [device_code] });
    for (const length of [70, 700, 8_000]) {
      const token = "x".repeat(length);
      for (const [form, client] of [
        [{ grant_type: "refresh_token", refresh_token: token }, own],
        [{ grant_type: device_code, device_code: token }, device],
      ] as const) {
        const { status, body } = await scene.token(form, client);
        expect([status, body.error], `${form.grant_type} ${length}`).toEqual([400, "invalid_grant"]);
      }
      const json = { grant_type: "refresh_token", refresh_token: token };
      const { status, body } = await call(`${tenant.base}/auth/token`, { method: "POST", token: tenant.token, json });
      expect([status, body.error.code], `auth/token ${length}`).toEqual([400, "invalid_grant"]);
    }
  });

  it("takes an assertion for the address that it is sent to, and for no other beside the token endpoint's", async () => {
    const keys = await generateKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256" }] };
    const { latchkey, tenant } = scene;
    const token_endpoint_auth_method = "private_key_jwt";
    const settings = { first_party: true, token_endpoint_auth_method, jwks } as const;
    const own = await addClient(latchkey, tenant.account_id, settings, "signs-by-either-name");
    const names = [own.client_id, own.client_id];
    const post = async (path: string, audience: string, form: Record<string, string>, [iss = "", sub = ""] = names) => {
      const client_assertion = await new SignJWT({ jti: randomUUID(), iss, sub })
        .setProtectedHeader({ alg: "ES256", kid: "1" })
        .setAudience(audience)
        .setExpirationTime("1m")
        .sign(keys.privateKey);
      const client_assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
      const proven = { ...form, client_assertion, client_assertion_type };
      return (await call(`${tenant.base}/oauth/${path}`, { method: "POST", form: proven })).status;
    };
    const { issuer } = tenant;
    const request = { response_type: "code", redirect_uri: CALLBACK, scope: "openid" };
    for (const audience of [issuer, `${issuer}/oauth/token`, `${issuer}/oauth/par`])
      expect(await post("par", audience, request), audience).toBe(201);
    expect(await post("par", `${issuer}/oauth/introspect`, request)).toBe(401);
    for (const [client_id, status] of [
      [own.client_id, 201],
      [own.id, 201],
      [scene.own.client_id, 401],
    ] as const)
      expect(await post("par", issuer, { ...request, client_id }), client_id).toBe(status);
    expect(await post("par", issuer, request, [own.id, own.id]), "by its uuid").toBe(201);
    for (const mixed of [
      [own.id, own.client_id],
      [scene.own.client_id, own.id],
    ])
      expect(await post("par", issuer, request, mixed), "by two names").toBe(401);
    const others = ["introspect", "revoke", "device_authorization"];
    for (const path of others) {
      const status = path === "device_authorization" ? 400 : 200;
      for (const audience of [issuer, `${issuer}/oauth/token`, `${issuer}/oauth/${path}`])
        expect(await post(path, audience, { token: "x" }), `${path} for ${audience}`).toBe(status);
    }
    for (const path of ["token", ...others])
      for (const other of ["par", ...others].filter((one) => one !== path)) {
        const form = { token: "x", grant_type: "client_credentials" };
        expect(await post(path, `${issuer}/oauth/${other}`, form), `${path} for ${other}`).toBe(401);
      }
    const by_secret = { token_endpoint_auth_method: "client_secret_basic" };
    const changed = { method: "PATCH", token: tenant.token, json: by_secret };
    expect((await call(`${tenant.base}/auth/clients/${own.id}`, changed)).status).toBe(200);
    expect(await post("par", issuer, request), "by a key that it has still").toBe(401);
  });

  it("is not what a HEAD of a page is answered with, and it begins, spends and ends nothing", async () => {
    const { latchkey, tenant, own } = scene;
    const surfer = openSurfer(latchkey);
    const head = async (url: string) => {
      const cookie = [...surfer.jar].map(([name, value]) => `${name}=${value}`).join("; ");
      const reply = await call(url.replace(latchkey.config.public_url, latchkey.url), {
        method: "HEAD",
        headers: { cookie, accept: "text/html" },
      });
      expect([reply.status, reply.headers.get("content-type"), reply.headers.has("set-cookie")], url).toEqual([
        ...[200, "text/html; charset=utf-8", false],
      ]);
    };
    const post = (path: string, form: Readonly<Record<string, string>>, headers = {}) =>
      call(`${tenant.base}/oauth/${path}`, { method: "POST", form, headers });
    const asked = Object.fromEntries(new URL(scene.address()).searchParams);
    const begun = (await post("authorize", asked)).headers.get("location") ?? "";
    await head(begun);
    const { email } = await addUser(latchkey, tenant.account_id);
    const waiting = await surfer.act(await surfer.visit(begun), "identify", { identifier: email });
    const code = (await inbox(tenant, email))[0]?.verification_code ?? "";
    const done = await surfer.act(waiting, "code", { code });
    const { body } = await scene.redeem(answered(done).get("code") ?? "");
    const { request_uri } = (await post("par", asked, { authorization: basic(own) })).body;
    const pushed = new URLSearchParams({ client_id: own.client_id, request_uri });
    await head(`${tenant.issuer}/oauth/authorize?${pushed}`);
    expect(answered(await surfer.visit(`${tenant.issuer}/oauth/authorize?${pushed}`)).get("code")).toBeTruthy();
    await head(`${tenant.issuer}/oauth/logout?id_token_hint=${body.id_token}`);
    await head(`${tenant.issuer}/login/upstream/callback/none?state=a.b.c`);
    expect(answered(await surfer.visit(scene.address(own, { prompt: "none" }))).get("code")).toBeTruthy();
  });
});
