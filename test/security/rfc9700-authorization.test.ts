import { afterAll, beforeAll, expect, it } from "vitest";
import { mintAuthorizationCode, readAuthorizationCode } from "../../src/oauth/authorization-code.ts";
import { reveal, secret } from "../../src/secrets/secret.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  authorize,
  basic,
  CALLBACK,
  call,
  createTenant,
  mintCode,
  type TestClient,
} from "../support/latchkey.ts";
import { answered, CHALLENGE, openScene, pkce, type Scene, VERIFIER } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("RFC 9700 at the authorization endpoint", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  const lookalikes = [
    `${CALLBACK}/`,
    `${CALLBACK}/more`,
    `${CALLBACK}?x=1`,
    `${CALLBACK}#x`,
    CALLBACK.toUpperCase(),
    "https://shop.example/CALLBACK",
    "https://shop.example/%63allback",
    "https://shop.example%2fcallback",
    "https://shop.example/x/../callback",
    "https://shop.example:443/callback",
    "https://user@shop.example/callback",
    "https://shop.example@evil.example/callback",
    "https://shop.example.evil.example/callback",
    "https://shоp.example/callback",
    "http://shop.example/callback",
    "//shop.example/callback",
  ];

  it("R1 compares redirect URIs as exact strings", async () => {
    for (const redirect_uri of lookalikes) {
      const shown = await openSurfer(scene.latchkey).visit(scene.address(scene.own, { redirect_uri }));
      expect([shown.status, shown.headers.get("location")], redirect_uri).toEqual([400, null]);
      const reply = await authorize(scene.tenant, { verification_code: "7KQM4-X2PVD", redirect_uri });
      expect([reply.status, reply.body.error.code], redirect_uri).toEqual([400, "redirect_uri_mismatch"]);
    }
  });

  it("R2 lets nothing vary but the port of a loopback IP, and of localhost for native clients", async () => {
    const callbacks = ["http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost/cb"];
    const confidential = await addClient(scene.latchkey, scene.tenant.account_id, { callbacks });
    const native = await addClient(scene.latchkey, scene.tenant.account_id, {
      callbacks,
      token_endpoint_auth_method: "none",
    });
    const status = async (client: TestClient, redirect_uri: string) =>
      (
        await call(
          scene
            .address(client, { redirect_uri, ...pkce })
            .replace(scene.latchkey.config.public_url, scene.latchkey.url),
        )
      ).status;
    expect(await status(confidential, "http://127.0.0.1:4000/cb")).toBe(303);
    expect(await status(confidential, "http://[::1]:4000/cb")).toBe(303);
    expect(await status(confidential, "http://localhost:4000/cb")).toBe(400);
    expect(await status(native, "http://localhost:4000/cb")).toBe(303);
    for (const redirect_uri of ["http://127.0.0.1:4000/other", "http://127.0.0.2:4000/cb", "https://127.0.0.1:4000/cb"])
      expect(await status(native, redirect_uri), redirect_uri).toBe(400);
  });

  it("R3 answers an unknown client or redirect URI on the spot: a page there, JSON here", async () => {
    for (const fields of [{ client_id: "nobody" }, { redirect_uri: "https://evil.example/" }]) {
      const shown = await openSurfer(scene.latchkey).visit(scene.address(scene.own, fields as Record<string, string>));
      expect(shown.status).toBe(400);
      expect(shown.headers.get("content-type")).toContain("text/html");
      const reply = await authorize(scene.tenant, { verification_code: "7KQM4-X2PVD", ...fields });
      expect(reply.headers.get("location")).toBeNull();
      expect(reply.body.error.code).toMatch(/^(unauthorized_client|redirect_uri_mismatch)$/);
    }
  });

  it("R4 registers no http but on loopback, no fragment, no wildcard, no user name", async () => {
    const set = (callbacks: string[]) =>
      call(`${scene.tenant.base}/auth/clients/${scene.own.id}`, {
        method: "PATCH",
        token: scene.tenant.token,
        json: { callbacks },
      });
    for (const callback of [
      "http://shop.example/cb",
      "https://shop.example/cb#x",
      "https://*.shop.example/cb",
      "https://user:pass@shop.example/cb",
      "javascript:alert(1)",
      "myapp:/cb",
      "https://shop.example/cb?code=1",
    ])
      expect((await set([callback])).status, callback).toBe(400);
    expect((await set([CALLBACK, "http://127.0.0.1/cb", "com.example.app:/cb"])).status).toBe(200);
    expect((await set([CALLBACK])).status).toBe(200);
  });

  it("R5 sends nobody to a client that nobody checked before they agreed to it", async () => {
    const open = await createTenant(scene.latchkey, { settings: { open_registration: true } });
    const elsewhere = "https://elsewhere.example/callback";
    const json = { redirect_uris: [CALLBACK, elsewhere] };
    const { body } = await call(`${open.base}/oauth/register`, { method: "POST", json });
    const about = {
      client_id: body.client_id,
      redirect_uri: CALLBACK,
      response_type: "code",
      scope: "openid",
      ...pkce,
    };
    const at = (more: Record<string, string>) =>
      `${open.issuer}/oauth/authorize?${new URLSearchParams({ ...about, ...more })}`;
    const surfer = openSurfer(scene.latchkey);
    for (const more of [{ prompt: "none" }, { response_type: "token" }, { scope: "admin:x" }] as Record<
      string,
      string
    >[]) {
      const shown = await surfer.visit(at(more));
      expect([shown.status, shown.url.startsWith(CALLBACK)], JSON.stringify(more)).toEqual([400, false]);
    }
    // A form of another site that posts itself is as silent as a link.
    const { origin, pathname, searchParams } = new URL(at({ prompt: "none" }));
    const posted = await surfer.visit(`${origin}${pathname}`, Object.fromEntries(searchParams));
    expect([posted.status, posted.url.startsWith(CALLBACK)]).toEqual([400, false]);
    await surfer.logIn(at({}), open);
    expect(answered(await surfer.visit(at({ prompt: "none" }))).get("code")).toBeTruthy();
    expect(answered(await surfer.visit(at({ scope: "admin:x" }))).get("error")).toBe("invalid_scope");
    const there = await surfer.visit(at({ scope: "admin:x", redirect_uri: elsewhere }));
    expect([there.status, there.url.startsWith(elsewhere)], "at another of its hosts").toEqual([400, false]);
  });

  it("R6 asks public clients for PKCE, and confidential ones where they do not use OpenID Connect", async () => {
    const native = await addClient(scene.latchkey, scene.tenant.account_id, { token_endpoint_auth_method: "none" });
    await addGrant(
      scene.latchkey,
      scene.tenant.account_id,
      scene.own,
      scene.tenant.audience,
      ["orders:read"],
      "authorization_code",
    );
    const error = async (client: TestClient, more: Record<string, string>) =>
      answered(await openSurfer(scene.latchkey).visit(scene.address(client, more))).get("error");
    expect(await error(native, {})).toBe("invalid_request");
    expect(await error(native, { scope: "openid" })).toBe("invalid_request");
    expect(await error(scene.own, { scope: "orders:read", resource: scene.tenant.audience })).toBe("invalid_request");
    expect((await openSurfer(scene.latchkey).visit(scene.address(native, pkce))).html).toContain('value="identify"');
  });

  it("R7 takes S256 alone, and publishes that", async () => {
    const plain = { code_challenge: VERIFIER, code_challenge_method: "plain" };
    for (const more of [plain, { code_challenge: VERIFIER }, { code_challenge_method: "S256" }] as Record<
      string,
      string
    >[])
      expect(answered(await openSurfer(scene.latchkey).visit(scene.address(scene.own, more))).get("error")).toBe(
        "invalid_request",
      );
    const { body } = await call(`${scene.tenant.base}/.well-known/openid-configuration`);
    expect(body.code_challenge_methods_supported).toEqual(["S256"]);
  });

  it("R8 checks the verifier of every challenge", async () => {
    expect((await scene.redeem(await scene.codeFor(scene.own, pkce))).body.error).toBe("invalid_grant");
    expect(
      (await scene.redeem(await scene.codeFor(scene.own, pkce), scene.own, { code_verifier: CHALLENGE })).body.error,
    ).toBe("invalid_grant");
    expect(
      (await scene.redeem(await scene.codeFor(scene.own, pkce), scene.own, { code_verifier: VERIFIER })).status,
    ).toBe(200);
  });

  it("R9 refuses a verifier where there was no challenge", async () => {
    expect((await scene.redeem(await scene.codeFor(), scene.own, { code_verifier: VERIFIER })).body.error).toBe(
      "invalid_grant",
    );
  });

  it("R10 notes in the audit trail when a client sends one challenge or nonce again and again", async () => {
    const client = await addClient(scene.latchkey, scene.tenant.account_id, { first_party: true });
    const repeated = async () => {
      const { read } = scene.latchkey.server.core.storage;
      const rows = await read.selectFrom("audit_events").selectAll().where("entity", "=", client.id).execute();
      return rows
        .filter(({ action }) => action === "authorization.value_repeated")
        .map(({ context }) => String(context));
    };
    await scene.codeFor(client, { ...pkce, nonce: "one" });
    expect(await repeated()).toEqual([]);
    await scene.codeFor(client, { ...pkce, nonce: "one" });
    expect((await repeated()).join()).toMatch(/code_challenge.*nonce/);
  });

  it("R12 hands out no token from the authorization endpoint unless the client was switched on for it", async () => {
    const client = await addClient(scene.latchkey, scene.tenant.account_id, {
      response_types: ["authenticate", "code"],
    });
    await addGrant(scene.latchkey, scene.tenant.account_id, client, scene.tenant.audience, []);
    const verification_code = await mintCode(scene.tenant, { client_id: client.client_id });
    const off = { client_id: client.client_id, response_type: "token", verification_code };
    expect((await authorize(scene.tenant, off)).body.error.code).toBe("unsupported_response_type");
    for (const response_type of ["token", "id_token", "code token", "id_token token"]) {
      const shown = await openSurfer(scene.latchkey).visit(scene.address(scene.own, { response_type }));
      const told = new URLSearchParams(new URL(shown.url).hash.slice(1));
      expect(told.get("error"), response_type).toBe("unsupported_response_type");
    }
  });

  it("R15 makes codes that live for a minute", async () => {
    const { directory } = scene.latchkey.server.core;
    const code = secret(await scene.codeFor());
    const content = readAuthorizationCode(directory.master_keys, scene.tenant.account_id, code);
    expect(content.expires_at - directory.storage.now()).toBeLessThanOrEqual(60_000);
    const { id: _id, expires_at: _end, ...same } = content;
    const then = directory.storage.now() - 61_000;
    const late = mintAuthorizationCode(directory.master_keys, scene.tenant.account_id, same, then);
    expect((await scene.redeem(reveal(late))).body.error).toBe("invalid_grant");
  });

  it("R27 offers no web_message", async () => {
    const shown = await openSurfer(scene.latchkey).visit(scene.address(scene.own, { response_mode: "web_message" }));
    expect(answered(shown).get("error")).toBe("invalid_request");
    const { body } = await call(`${scene.tenant.base}/.well-known/openid-configuration`);
    expect(body.response_modes_supported).toEqual(["query", "fragment", "form_post"]);
  });

  it("R28 posts every value as it is, whatever it holds", async () => {
    const state = `"><script>alert(1)</script>'&amp;`;
    const shown = await openSurfer(scene.latchkey).visit(
      scene.address(scene.own, { response_mode: "form_post", prompt: "none", state }),
    );
    expect(shown.html).not.toContain("<script>alert");
    const [, value = ""] = /name="state" value="([^"]*)"/.exec(shown.html) ?? [];
    const read = value
      .replaceAll("&quot;", '"')
      .replaceAll("&#39;", "'")
      .replaceAll("&lt;", "<")
      .replaceAll("&gt;", ">")
      .replaceAll("&amp;", "&");
    expect(read).toBe(state);
    const policy = shown.headers.get("content-security-policy");
    expect(policy).toMatch(/^default-src 'none'; script-src 'nonce-([^']+)'; style-src 'nonce-\1'; base-uri 'none'$/);
  });

  it("R30 gives state back byte for byte, and takes no parameter twice", async () => {
    const state = "æøå %2B+ =&\"'<>|~ 日本";
    const shown = await openSurfer(scene.latchkey).visit(scene.address(scene.own, { state, prompt: "none" }));
    expect(answered(shown).get("state")).toBe(state);
    const address = scene.address().replace(scene.latchkey.config.public_url, scene.latchkey.url);
    for (const again of ["state=x&state=y", `client_id=${scene.own.client_id}`, `redirect_uri=${CALLBACK}`]) {
      const reply = await call(`${address}&${again}`);
      expect([reply.status, reply.headers.get("location")], again).toEqual([400, null]);
    }
    // Of others the client hears at its own address, without a code.
    for (const again of ["scope=email", "nonce=a&nonce=a", "response_type=code", "code_challenge=a&code_challenge=b"]) {
      const { searchParams } = new URL((await call(`${address}&${again}`)).headers.get("location") ?? "");
      expect([searchParams.get("error"), searchParams.get("code")], again).toEqual(["invalid_request", null]);
    }
  });

  it("R31 fetches no request_uri, and takes a pushed one once, from its own client", async () => {
    const before = scene.listener.all.length;
    const foreign = `${scene.tenant.issuer}/oauth/authorize?client_id=${scene.own.client_id}&request_uri=`;
    expect(
      (await openSurfer(scene.latchkey).visit(`${foreign}${encodeURIComponent(`${scene.listener.url}/r`)}`)).status,
    ).toBe(400);
    expect(scene.listener.all.length).toBe(before);
    const form = { response_type: "code", redirect_uri: CALLBACK, scope: "openid" };
    const headers = { authorization: basic(scene.own) };
    const pushed = await call(`${scene.tenant.base}/oauth/par`, { method: "POST", headers, form });
    expect(pushed.body.expires_in).toBe(60);
    const at = (client: TestClient) =>
      `${scene.tenant.issuer}/oauth/authorize?client_id=${client.client_id}&request_uri=${encodeURIComponent(pushed.body.request_uri)}`;
    expect((await openSurfer(scene.latchkey).visit(at(scene.tenant.client))).status).toBe(400);
    expect((await openSurfer(scene.latchkey).visit(at(scene.own))).status).toBe(200);
    expect((await openSurfer(scene.latchkey).visit(at(scene.own))).status).toBe(400);
  });
});
