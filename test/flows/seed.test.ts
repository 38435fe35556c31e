/** The request that the project exists for, from a bearer token to a redirect whose token verifies. */
import { createHash, randomBytes } from "node:crypto";
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addUser,
  authorize,
  basic,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  receiveCode,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";

describeOnBothEngines("a code for a redirect", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const keys = () => createRemoteJWKSet(new URL(`${tenant.base}/oauth/jwks.json`));
  const locationOf = (reply: { headers: Headers }) => new URL(reply.headers.get("location") ?? "");

  it("answers 302 with an ID token in the query and the state as it was sent", async () => {
    const verification_code = await receiveCode(tenant);
    expect(verification_code).toMatch(/^[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}$/);
    const state = "ü &=?#/%+ 'x'\"~";
    const reply = await authorize(tenant, { verification_code, state });
    expect(reply.status).toBe(302);
    expect(reply.headers.get("cache-control")).toBe("no-store");
    expect(reply.headers.get("referrer-policy")).toBe("no-referrer");
    const location = locationOf(reply);
    expect(location.origin + location.pathname).toBe(CALLBACK);
    expect(location.hash).toBe("");
    expect(location.searchParams.get("state")).toBe(state);
    const { payload, protectedHeader } = await jwtVerify(location.searchParams.get("id_token") ?? "", keys(), {
      issuer: tenant.issuer,
      audience: CALLBACK,
    });
    expect(protectedHeader.alg).toBe("RS256");
    expect(payload).toMatchObject({
      sub: tenant.user.id,
      azp: tenant.client.client_id,
      email: tenant.user.email,
      name: "Ada Example",
      amr: ["otp"],
    });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(120);
  });

  it("answers response_type=token in the fragment, without any refresh token", async () => {
    const verification_code = await mintCode(tenant);
    const reply = await authorize(tenant, { verification_code, response_type: "token", scope: "openid", nonce: "n-1" });
    expect(reply.status).toBe(302);
    const location = locationOf(reply);
    expect(location.search).toBe("");
    const result = new URLSearchParams(location.hash.slice(1));
    expect([...result.keys()].sort()).toEqual([
      "access_token",
      "expires_in",
      "id_token",
      "iss",
      "scope",
      "state",
      "token_type",
    ]);
    expect(result.get("token_type")).toBe("Bearer");
    // OpenID Connect Core §3.2.2.9: the left half of the hash, as the algorithm of the ID token hashes.
    const digest = createHash("sha256")
      .update(result.get("access_token") ?? "")
      .digest();
    const { at_hash } = decodeJwt(result.get("id_token") ?? "");
    expect(at_hash).toBe(digest.subarray(0, 16).toString("base64url"));
    expect(result.get("expires_in")).toBe("14400");
    expect(result.get("scope")).toBe("orders:read orders:write");
    expect(result.get("iss")).toBe(tenant.issuer);
    const token = result.get("access_token") ?? "";
    expect(decodeProtectedHeader(token)).toMatchObject({ typ: "at+jwt", alg: "ES256" });
    const { payload } = await jwtVerify(token, keys(), {
      issuer: tenant.issuer,
      audience: tenant.audience,
      typ: "at+jwt",
    });
    expect(payload).toMatchObject({
      sub: tenant.user.id,
      subject_type: "user",
      client_id: tenant.client.client_id,
      oid: tenant.account_id,
      scope: "orders:read orders:write",
    });
    const id = await jwtVerify(result.get("id_token") ?? "", keys(), {
      issuer: tenant.issuer,
      audience: tenant.client.client_id,
    });
    expect(id.payload.nonce).toBe("n-1");
  });

  it("names no telephone number in the redirect, which ends in logs", async () => {
    const user = await addUser(latchkey, tenant.account_id);
    const verification_code = await mintCode(tenant, { user_id: user.id });
    const reply = await authorize(tenant, { verification_code, response_type: "token", scope: "openid" });
    const id_token = new URLSearchParams(locationOf(reply).hash.slice(1)).get("id_token") ?? "";
    const { payload } = await jwtVerify(id_token, keys());
    expect(payload.email).toBe(user.email);
    expect(JSON.stringify(payload)).not.toContain(user.phone_number);
  });

  it("answers response_type=code, which oauth/token redeems once, with PKCE", async () => {
    const code_verifier = randomBytes(32).toString("base64url");
    const code_challenge = createHash("sha256").update(code_verifier).digest("base64url");
    const start = async () => {
      const pkce = { code_challenge, code_challenge_method: "S256", scope: "openid" };
      const reply = await authorize(tenant, {
        verification_code: await mintCode(tenant),
        response_type: "code",
        ...pkce,
      });
      expect(reply.status).toBe(302);
      const { searchParams } = locationOf(reply);
      expect([...searchParams.keys()].sort()).toEqual(["code", "iss", "state"]);
      return searchParams.get("code") ?? "";
    };
    const redeem = (code: string, fields: Record<string, string> = {}) =>
      call(`${tenant.base}/oauth/token`, {
        method: "POST",
        headers: { authorization: basic(tenant.client) },
        form: { grant_type: "authorization_code", code, redirect_uri: CALLBACK, code_verifier, ...fields },
      });

    const code = await start();
    expect(await redeem(code, { code_verifier: randomBytes(32).toString("base64url") })).toMatchObject({
      status: 400,
      body: { error: "invalid_grant" },
    });
    expect(await redeem(code, { redirect_uri: "https://shop.example/other" })).toMatchObject({
      status: 400,
      body: { error: "invalid_grant" },
    });
    const first = await redeem(code);
    expect(first.status).toBe(200);
    expect(first.headers.get("cache-control")).toBe("no-store");
    const { payload } = await jwtVerify(first.body.access_token, keys(), { audience: tenant.audience });
    expect(payload.sub).toBe(tenant.user.id);
    await jwtVerify(first.body.id_token, keys(), { audience: tenant.client.client_id });
    expect(await redeem(code)).toMatchObject({ status: 400, body: { error: "invalid_grant" } });

    const contested = await start();
    const answers = await Promise.all(Array.from({ length: 20 }, () => redeem(contested)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it("keeps the query that a callback has, and takes the only callback when none is named", async () => {
    const other = await createTenant(latchkey, { client: { callbacks: ["https://shop.example/cb?tenant=7"] } });
    const reply = await authorize(other, { verification_code: await mintCode(other), redirect_uri: undefined });
    expect(reply.headers.get("location")).toMatch(
      /^https:\/\/shop\.example\/cb\?tenant=7&id_token=[^&]+&state=af0ifjsldkj$/,
    );
  });

  it("takes its parameters as a form, and answers JSON where a 302 cannot be read", async () => {
    const form = {
      audience: tenant.audience,
      response_type: "authenticate",
      client_id: tenant.client.id,
      response_mode: "json",
      verification_code: await mintCode(tenant),
    };
    const reply = await call(`${tenant.base}/auth/authorize`, { method: "POST", token: tenant.token, form });
    expect(reply.status).toBe(200);
    expect(Object.keys(reply.body)).toEqual(["redirect_uri"]);
    expect(reply.body.redirect_uri).toMatch(/^https:\/\/shop\.example\/callback\?id_token=[\w.-]+$/);
  });

  it("minds neither Accept: application/json nor an empty JSON body", async () => {
    for (const options of [
      { headers: { accept: "application/json" } },
      { headers: { accept: "application/json", "content-type": "application/json" } },
      { headers: { "content-type": "application/json" }, raw: "" },
      { headers: { "content-type": "application/json" }, raw: "{}" },
      { headers: { "content-type": "text/plain" }, raw: "" },
    ]) {
      const reply = await authorize(tenant, { verification_code: await mintCode(tenant) }, options);
      expect(reply.status, JSON.stringify(options)).toBe(302);
      expect(reply.text).toBe("");
    }
  });

  it("accepts both forms of an owner's id and names the canonical one in tokens", async () => {
    const owner = await createTenant(latchkey, { account_id: "T31700000" });
    const short = { ...owner, base: owner.base.replace("T31700000", "T317") };
    const reply = await authorize(short, { verification_code: await mintCode(short) });
    const { payload } = await jwtVerify(
      locationOf(reply).searchParams.get("id_token") ?? "",
      createRemoteJWKSet(new URL(`${owner.base}/oauth/jwks.json`)),
    );
    expect(payload.iss).toBe(owner.issuer);
    expect(owner.issuer).toMatch(/T31700000$/);
    expect((await call(`${short.base}/oauth/jwks.json`)).status).toBe(404);
    expect((await call(`${short.base}/.well-known/openid-configuration`)).body.error_description).toContain(
      "T31700000",
    );
  });

  it("lets a browser's preflight pass, and exposes Location", async () => {
    const preflight = await call(`${tenant.base}/auth/authorize`, {
      method: "OPTIONS",
      headers: {
        origin: "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
    expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
    expect(preflight.headers.get("access-control-allow-headers")).toContain("Authorization");
    expect(preflight.headers.get("access-control-allow-credentials")).toBeNull();
    const refused = await call(`${tenant.base}/auth/authorize`, { method: "POST" });
    expect(refused.status).toBe(401);
    expect(refused.headers.get("access-control-allow-origin")).toBe("*");
    const exposed = refused.headers.get("access-control-expose-headers")?.split(", ") ?? [];
    expect(exposed).toEqual(expect.arrayContaining(["Location", "Login-Session-Id", "total-count"]));
  });
});
