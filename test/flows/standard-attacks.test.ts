/** What attackers try at devices, keys and logouts of the standard surface: each of them gets nowhere. */
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { athOf, openKey as openProofKey } from "../support/dpop.ts";
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
  type TestClient,
} from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const LOGOUT = "https://shop.example/bye";

describeOnBothEngines("attacks on the standard surface", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let listener: Receiver;
  const answers: number[] = [];
  beforeAll(async () => {
    listener = await openReceiver(() => [answers.shift() ?? 200, ""]);
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
  });
  afterAll(async () => {
    await latchkey.close();
    await listener.close();
  });

  const post = (path: string, form: Record<string, string>, own: TestClient, headers: Record<string, string> = {}) =>
    call(`${tenant.base}/oauth/${path}`, {
      method: "POST",
      headers: { authorization: basic(own), ...headers },
      form,
    });

  it("closes the device page after ten wrong codes in one browser, and gives a code to its own client alone", async () => {
    const own = await addClient(latchkey, tenant.account_id, { grant_types: [DEVICE] });
    const other = await addClient(latchkey, tenant.account_id, { grant_types: [DEVICE] });
    const { body } = await post("device_authorization", { scope: "openid" }, own);
    const poll = (who: TestClient) => post("token", { grant_type: DEVICE, device_code: body.device_code }, who);
    expect((await poll(other)).body.error).toBe("invalid_grant");
    expect((await poll(own)).body.error).toBe("authorization_pending");
    expect((await poll(own)).body.error).toBe("slow_down");
    const foreign = await createTenant(latchkey);
    const there = await addClient(latchkey, foreign.account_id, { grant_types: [DEVICE] });
    const crossed = await call(`${foreign.base}/oauth/token`, {
      method: "POST",
      headers: { authorization: basic(there) },
      form: { grant_type: DEVICE, device_code: body.device_code },
    });
    expect([crossed.status, crossed.body.error]).toEqual([400, "invalid_grant"]);
    const { user_code } = body;
    const astray = await openSurfer(latchkey).visit(`${foreign.issuer}/device`, { user_code });
    expect([astray.status, astray.html]).toEqual([200, expect.stringContaining("No device is waiting")]);
    const surfer = openSurfer(latchkey);
    const page = `${tenant.issuer}/device`;
    for (let n = 0; n < 10; n++) expect((await surfer.visit(page, { user_code: "BBBB-BBBB" })).status).toBe(200);
    expect((await surfer.visit(page, { user_code: body.user_code })).status).toBe(429);
    const hasty = openSurfer(latchkey);
    await hasty.visit(page, { user_code: "BBBB-BBBB" });
    const at_once = Array.from({ length: 30 }, () => hasty.visit(page, { user_code: "BBBB-BBBB" }));
    expect((await Promise.all(at_once)).filter(({ status }) => status === 200)).toHaveLength(9);
    const stored = JSON.stringify(
      await latchkey.server.core.storage.read.selectFrom("device_codes").selectAll().execute(),
    );
    expect(stored).not.toContain(body.device_code);
    expect(stored).not.toContain(body.user_code);
  });

  it("always asks before it lets a device in, and takes no crafted answer", async () => {
    const own = await addClient(latchkey, tenant.account_id, {
      grant_types: [DEVICE, "authorization_code"],
      first_party: true,
    });
    const surfer = openSurfer(latchkey);
    const { email } = await addUser(latchkey, tenant.account_id);
    const about = { client_id: own.client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
    await surfer.logIn(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`, tenant, email);
    const { body } = await post("device_authorization", { scope: "openid" }, own);
    const page = `${tenant.issuer}/device`;
    const asked = await surfer.visit(page, { user_code: body.user_code });
    expect(asked.html).toContain("Go on only if you began this yourself");
    for (const action of ["choose", "code", "nonsense"]) await surfer.visit(asked.url, { action, code: "x" });
    await call(`${tenant.base}/device?done=yes`);
    const poll = { grant_type: DEVICE, device_code: body.device_code };
    expect((await post("token", poll, own)).body.error).toBe("authorization_pending");
    const foreign = await call(page.replace(latchkey.config.public_url, latchkey.url), {
      method: "POST",
      headers: { "sec-fetch-site": "cross-site" },
      form: { user_code: body.user_code },
    });
    expect(foreign.status).toBe(403);
    await surfer.act(asked, "allow");
    const kept = await latchkey.server.core.storage.read.selectFrom("device_codes").select("answer").execute();
    for (const code of kept.flatMap(({ answer }) => answer ?? [])) {
      const stolen = await post("token", { grant_type: "authorization_code", code, redirect_uri: page }, own);
      expect(stolen.body.error, "what the database holds").toBe("invalid_grant");
    }
    expect((await post("token", poll, own)).body.id_token).toBeTruthy();
    expect((await post("token", poll, own)).body.error).toBe("invalid_grant");
  });

  const openKey = () => openProofKey(tenant.issuer);

  it("answers keys that are none, and text that no database holds, with a refusal", async () => {
    const json = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const broken = { kty: "EC", crv: "P-256", x: "AA", y: "AA" };
    const proof = `${json({ typ: "dpop+jwt", alg: "ES256", jwk: broken })}.${json({ jti: "1" })}.AAAA`;
    const form = { grant_type: "client_credentials", resource: tenant.audience };
    const url = `${tenant.base}/oauth/token`;
    const bound = await call(url, {
      method: "POST",
      form,
      headers: { authorization: basic(tenant.client), dpop: proof },
    });
    expect([bound.status, bound.body.error]).toEqual([400, "invalid_dpop_proof"]);
    const nul = Buffer.from("\0:x").toString("base64");
    const named = await call(url, { method: "POST", form, headers: { authorization: `Basic ${nul}` } });
    expect([named.status, named.body.error]).toEqual([400, "invalid_request"]);
    const assertion = `${json({ alg: "ES256" })}.${json({ sub: "\0", iss: "\0" })}.AAAA`;
    const asserted = await call(url, {
      method: "POST",
      form: {
        ...form,
        client_assertion: assertion,
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      },
    });
    expect([asserted.status, asserted.body.error]).toEqual([400, "invalid_request"]);
  });

  it("refuses proofs that are replayed, stale, for another request, of another kind, or without its nonce", async () => {
    const own = await addClient(latchkey, tenant.account_id, { dpop_bound_access_tokens: true });
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
    const key = await openKey();
    const ask = (proof?: string) =>
      post("token", { grant_type: "client_credentials", audience: tenant.audience }, own, proof ? { dpop: proof } : {});
    expect((await ask()).body.error).toBe("invalid_dpop_proof");
    const first = await ask(await key.proof());
    expect([first.status, first.body.error]).toEqual([400, "use_dpop_nonce"]);
    const nonce = first.headers.get("dpop-nonce") ?? "";
    const good = await key.proof({ nonce });
    const { body } = await ask(good);
    expect(body.token_type).toBe("DPoP");
    const bound = claimsOf(body.access_token);
    expect(bound.cnf).toEqual({ jkt: await calculateJwkThumbprint(key.jwk) });
    const now = Math.floor(Date.now() / 1000);
    for (const [why, proof] of [
      ["replayed", good],
      ["stale", await key.proof({ nonce, iat: now - 90 })],
      ["early", await key.proof({ nonce, iat: now + 90 })],
      ["another method", await key.proof({ nonce, htm: "GET" })],
      ["another address", await key.proof({ nonce }, {}, "/oauth/par")],
      ["another kind", await key.proof({ nonce }, { typ: "JWT" })],
      ["a private key", await key.proof({ nonce }, { jwk: key.private_jwk })],
      ["another key", await key.proof({ nonce }, { jwk: (await openKey()).jwk })],
      ["no jti", await key.proof({ nonce, jti: undefined })],
      ["no proof", "x.y.z"],
    ] as const) {
      expect((await ask(proof)).body.error, why).toBe("invalid_dpop_proof");
    }
    expect((await ask(await key.proof({ nonce: "made-up" }))).body.error).toBe("use_dpop_nonce");
  });

  it("takes a bound token only with a proof of its key, for that token and that request", async () => {
    const own = await addClient(latchkey, tenant.account_id, { dpop_bound_access_tokens: true });
    await addGrant(latchkey, tenant.account_id, own, tenant.issuer, ["admin:accounts"]);
    const key = await openKey();
    const form = { grant_type: "client_credentials", audience: tenant.issuer };
    const nonce = (await post("token", form, own, { dpop: await key.proof() })).headers.get("dpop-nonce") ?? "";
    const access_token = (await post("token", form, own, { dpop: await key.proof({ nonce }) })).body.access_token;
    const ath = athOf(access_token);
    const list = (scheme: string, proof?: string) =>
      call(`${tenant.base}/auth/clients`, {
        headers: { authorization: `${scheme} ${access_token}`, ...(proof ? { dpop: proof } : {}) },
      });
    const right = { htm: "GET", nonce, ath };
    expect((await list("Bearer")).status).toBe(401);
    expect((await list("DPoP")).status).toBe(401);
    const refused = await list("DPoP", await key.proof({ ...right, ath: "x" }, {}, "/auth/clients"));
    expect(refused.headers.get("www-authenticate")).toMatch(/^DPoP .*error="invalid_dpop_proof", algs="ES256 [^"]*"$/);
    expect((await list("DPoP", await key.proof(right, {}, "/auth/grants"))).status).toBe(401);
    expect((await list("Bearer", await key.proof(right, {}, "/auth/clients"))).status).toBe(401);
    expect((await list("DPoP", await (await openKey()).proof(right, {}, "/auth/clients"))).status).toBe(401);
    const shown = await key.proof(right, {}, "/auth/clients");
    expect([(await list("DPoP", shown)).status, (await list("DPoP", shown)).status], "once").toEqual([200, 401]);
    const unbound = await call(`${tenant.base}/auth/clients`, { headers: { authorization: `DPoP ${tenant.token}` } });
    expect([unbound.status, unbound.headers.get("www-authenticate")]).toEqual([
      ...[401, expect.stringMatching(/^DPoP .*error="invalid_token".*, algs="ES256 /)],
    ]);
    const weak = await addClient(latchkey, tenant.account_id, { dpop_bound_access_tokens: true });
    await addGrant(latchkey, tenant.account_id, weak, tenant.issuer, ["orders:read"]);
    const bound = (await post("token", form, weak, { dpop: await key.proof({ nonce }) })).body.access_token;
    const lacking = await call(`${tenant.base}/auth/clients`, {
      headers: {
        authorization: `DPoP ${bound}`,
        dpop: await key.proof({ htm: "GET", nonce, ath: athOf(bound) }, {}, "/auth/clients"),
      },
    });
    expect([lacking.status, lacking.headers.get("www-authenticate")]).toEqual([
      ...[403, expect.stringMatching(/^DPoP .*error="insufficient_scope".* scope="[^"]+", algs="ES256 /)],
    ]);
  });

  it("gives a client nothing from the moment another process took its grant, secret or life, whatever is cached here", async () => {
    const { storage } = latchkey.server.core;
    const ended = new Date(storage.now()).toISOString();
    const ask = (own: TestClient) =>
      post("token", { grant_type: "client_credentials", audience: tenant.audience }, own).then(({ status, body }) =>
        status === 200 ? body.scope : body.error,
      );
    const warm = async () => {
      const own = await addClient(latchkey, tenant.account_id);
      const grant = await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read", "orders:write"]);
      expect(await ask(own)).toBe("orders:read orders:write");
      return { own, grant };
    };
    const narrowed = await warm();
    await storage.write(async ({ db }) => {
      const scope = JSON.stringify(["orders:read"]);
      await db.updateTable("grants").set({ scope }).where("id", "=", narrowed.grant).execute();
    });
    expect(await ask(narrowed.own)).toBe("orders:read");
    const ungranted = await warm();
    await storage.write(async ({ db }) => {
      await db.updateTable("grants").set({ deleted_at: ended }).where("id", "=", ungranted.grant).execute();
    });
    expect(await ask(ungranted.own)).toBe("invalid_target");
    const rotated = await warm();
    await storage.write(async ({ db }) => {
      await db
        .updateTable("client_secrets")
        .set({ not_after: ended })
        .where("client_id", "=", rotated.own.id)
        .execute();
    });
    expect(await ask(rotated.own)).toBe("invalid_client");
    const web = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      grant_types: ["authorization_code", "refresh_token"],
    });
    const standard = standardClient(latchkey, tenant, web);
    const { refresh_token } = (await standard.redeem(await standard.codeFor(web, { scope: "openid offline_access" })))
      .body;
    const code = await standard.codeFor(web);
    expect((await post("introspect", { token: "x" }, web)).status).toBe(200);
    await storage.write(async ({ db }) => {
      await db.updateTable("client_secrets").set({ not_after: ended }).where("client_id", "=", web.id).execute();
    });
    expect((await standard.redeem(code)).body.error).toBe("invalid_client");
    expect((await standard.token({ grant_type: "refresh_token", refresh_token })).body.error).toBe("invalid_client");
    const deleted = await warm();
    await storage.write(async ({ db }) => {
      await db.updateTable("clients").set({ deleted_at: ended }).where("id", "=", deleted.own.id).execute();
    });
    expect(await ask(deleted.own)).toBe("invalid_client");
  });

  it("tells a client that somebody logged out, again until it listens, and only who asked for it", async () => {
    const own = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      backchannel_logout_uri: `${listener.url}/bye`,
      post_logout_redirect_uris: [LOGOUT],
    });
    const surfer = openSurfer(latchkey);
    const user = await addUser(latchkey, tenant.account_id);
    const about = { client_id: own.client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
    const shown = await surfer.logIn(
      `${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`,
      tenant,
      user.email,
    );
    const code = new URL(shown.url).searchParams.get("code") ?? "";
    const { body } = await post("token", { grant_type: "authorization_code", code, redirect_uri: CALLBACK }, own);
    answers.push(503);
    const query = new URLSearchParams({ id_token_hint: body.id_token, post_logout_redirect_uri: LOGOUT });
    expect((await surfer.visit(`${tenant.issuer}/oauth/logout?${query}`)).url).toBe(LOGOUT);
    await expect.poll(() => listener.all.length, { timeout: 10_000 }).toBe(2);
    const [first, second] = listener.all.map(({ body: sent }) => new URLSearchParams(sent).get("logout_token") ?? "");
    const keys = createLocalJWKSet((await call(`${tenant.base}/oauth/jwks.json`)).body);
    const { payload, protectedHeader } = await jwtVerify(second ?? "", keys, {
      issuer: tenant.issuer,
      audience: own.client_id,
      typ: "logout+jwt",
    });
    const id_claims = claimsOf(body.id_token);
    expect(protectedHeader.alg).toBe("RS256");
    expect(payload).toMatchObject({
      sub: user.id,
      sid: id_claims.sid,
      events: { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    expect(payload).not.toHaveProperty("nonce");
    const again = claimsOf(first ?? "");
    expect(again.jti).toBe(payload.jti);
  }, 20_000);

  it("asks again where a form of another site had text of any alphabet, and of names those that it knows", async () => {
    const reply = await call(`${tenant.base}/oauth/logout`, { method: "POST", form: { 日: "1", state: "ü" } });
    const asked = `${tenant.issuer}/oauth/logout?state=%C3%BC`;
    expect([reply.status, reply.headers.get("location")]).toEqual([303, asked]);
  });

  it("shows pages whatever the account says of its logo, and takes no address without a host", async () => {
    const own = await createTenant(latchkey);
    const patch = (logo_uri: string) =>
      call(`${own.base}/auth/settings`, { method: "PATCH", token: own.token, json: { brand: { logo_uri } } });
    expect((await patch("https://")).status).toBe(400);
    expect((await patch("https://[")).status).toBe(200);
    const html = { headers: { accept: "text/html" } };
    const refused = await call(`${own.issuer}/oauth/authorize?client_id=nobody`, html);
    expect([refused.status, refused.headers.get("content-type")]).toEqual([400, "text/html; charset=utf-8"]);
    expect((await call(`${own.issuer}/oauth/logout`, html)).status).toBe(200);
  });
});
