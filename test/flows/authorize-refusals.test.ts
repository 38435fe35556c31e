/** Every check of auth/authorize in its order: status, error.code, message, and never a redirect. */
import { type IncomingMessage, request } from "node:http";
import { generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  authorize,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { expectRefusal, type Row } from "../support/refusals.ts";

describeOnBothEngines("auth/authorize refuses", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let code: string;

  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    code = await mintCode(tenant);
  });
  afterAll(() => latchkey.close());

  it("an oid off its pattern, before anything else", async () => {
    for (const oid of [
      "X12345678",
      "T1",
      "T12",
      "T1234",
      "T1234567",
      "T123456789",
      "t12345678",
      "T1234567a",
      "TT2345678",
      "12345678",
      "P",
      "T%31",
      "T123 ",
      "T12345678%00",
      "T١٢٣",
    ]) {
      const reply = await call(`${latchkey.url}/v1/accounts/${oid}/auth/authorize`, { method: "POST" });
      expect([reply.status, reply.body?.error.code], `${oid} ${reply.text}`).toEqual([400, "invalid_request"]);
    }
    for (const oid of ["T112", "P112", "T00000000", "P99999999", "T11200000"]) {
      const reply = await call(`${latchkey.url}/v1/accounts/${oid}/auth/authorize`, { method: "POST" });
      expect([reply.status, reply.body.error.code], oid).toEqual([401, "invalid_token"]);
    }
  });

  it("a bearer that is none, before it reads any parameter", async () => {
    const { privateKey } = await generateKeyPair("ES256");
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: tenant.issuer,
      sub: tenant.client.id,
      aud: tenant.issuer,
      exp: now + 100,
      iat: now,
      sid: "s",
      client_id: "c",
      client_uuid: "u",
      scope: "admin:accounts",
      oid: tenant.account_id,
      subject_type: "client",
    };
    const forged = await new SignJWT(claims)
      .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: "k" })
      .sign(privateKey);
    const [header = "", payload = "", signature = ""] = tenant.token.split(".");
    const none = Buffer.from(JSON.stringify({ alg: "none", typ: "at+jwt", kid: "k" })).toString("base64url");
    const id_token = new URL(
      (await authorize(tenant, { verification_code: await mintCode(tenant) })).headers.get("location") ?? "",
    ).searchParams.get("id_token");
    const person = await authorize(tenant, {
      verification_code: await mintCode(tenant, { audience: tenant.issuer }),
      response_type: "token",
      audience: tenant.issuer,
    });
    const personal = new URLSearchParams(new URL(person.headers.get("location") ?? "").hash.slice(1)).get(
      "access_token",
    );
    const elsewhere = await call(`${tenant.base}/auth/token`, {
      method: "POST",
      headers: {
        authorization: `Basic ${Buffer.from(`${tenant.client.id}:${tenant.client.client_secret}`).toString("base64")}`,
      },
      json: { grant_type: "client_credentials", audience: tenant.audience },
    });
    const rows: [string, Record<string, string>][] = [
      ["no header", {}],
      ["another scheme", { authorization: "Basic YTpi" }],
      ["empty", { authorization: "Bearer " }],
      ["not a JWT", { authorization: "Bearer abc" }],
      ["two tokens", { authorization: `Bearer ${tenant.token} ${tenant.token}` }],
      ["signed by somebody else", { authorization: `Bearer ${forged}` }],
      ["alg none", { authorization: `Bearer ${none}.${payload}.` }],
      [
        "a changed payload",
        {
          authorization: `Bearer ${header}.${Buffer.from(JSON.stringify({ ...claims, exp: now + 9999 })).toString("base64url")}.${signature}`,
        },
      ],
      ["a cut signature", { authorization: `Bearer ${header}.${payload}.${signature.slice(0, -2)}` }],
      ["an ID token", { authorization: `Bearer ${id_token}` }],
      ["a person's token", { authorization: `Bearer ${personal}` }],
      ["a token for another audience", { authorization: `Bearer ${elsewhere.body.access_token}` }],
      ["a token of another account", { authorization: `Bearer ${(await createTenant(latchkey)).token}` }],
    ];
    for (const [what, headers] of rows) {
      const reply = await call(`${tenant.base}/auth/authorize?audience=a&audience=b`, { method: "POST", headers });
      expectRefusal(reply, [401, "invalid_token", /access token/i], what);
      expect(reply.headers.get("www-authenticate"), what).toMatch(/^Bearer /);
    }
  });

  it("what the query says wrongly, each fault by its name", async () => {
    const rows: Row[] = [
      {
        what: "no audience",
        fields: { audience: undefined },
        expected: [400, "invalid_request", /audience is required/],
      },
      {
        what: "no response_type",
        fields: { response_type: undefined },
        expected: [400, "invalid_request", /response_type is required/],
      },
      {
        what: "no client_id",
        fields: { client_id: undefined },
        expected: [400, "invalid_request", /client_id is required/],
      },
      {
        what: "no code",
        fields: { verification_code: undefined },
        expected: [400, "invalid_request", /verification_code is required/],
      },
      {
        what: "empty audience",
        fields: { audience: "" },
        expected: [400, "invalid_request", /audience must not be empty/],
      },
      {
        what: "empty code",
        fields: { verification_code: "" },
        expected: [400, "invalid_request", /verification_code must not be empty/],
      },
      {
        what: "another response_type",
        fields: { response_type: "id_token" },
        expected: [400, "invalid_request", /"authenticate", "token", "code"/],
      },
      {
        what: "another scope",
        fields: { scope: "openid profile" },
        expected: [400, "invalid_request", /scope must be one of "openid"/],
      },
      {
        what: "long state",
        fields: { state: "s".repeat(2049) },
        expected: [400, "invalid_request", /state must have at most 2048/],
      },
      {
        what: "long audience",
        fields: { audience: "a".repeat(2049) },
        expected: [400, "invalid_request", /audience must have at most 2048/],
      },
      {
        what: "long code",
        fields: { verification_code: "a".repeat(257) },
        expected: [400, "invalid_request", /verification_code must have/],
      },
      {
        what: "another response_mode",
        fields: { response_mode: "query" },
        expected: [400, "invalid_request", /response_mode/],
      },
      {
        what: "PKCE plain",
        fields: { response_type: "code", code_challenge: "a".repeat(43), code_challenge_method: "plain" },
        expected: [400, "invalid_request", /code_challenge_method/],
      },
      { what: "PKCE missing", fields: { response_type: "code" }, expected: [400, "invalid_request", /code_challenge/] },
      {
        what: "PKCE without its method",
        fields: { response_type: "code", code_challenge: "a".repeat(43) },
        expected: [400, "invalid_request", /S256/],
      },
      {
        what: "ident without its type",
        fields: { ident: "a@example.com" },
        expected: [400, "invalid_request", /ident_type/],
      },
    ];
    for (const { what, fields, expected } of rows) {
      const reply = await authorize(tenant, { verification_code: code, ...fields });
      expectRefusal(reply, expected, what);
      expect(reply.body.error.errors.length, what).toBeGreaterThan(0);
      expect(reply.text, what).not.toContain(code);
    }
    const all = await authorize(tenant, { audience: undefined, client_id: undefined, response_type: "x" });
    expect(
      all.body.error.errors.map(({ path, code: rule }: { path: string; code: string }) => `${path} ${rule}`).sort(),
    ).toEqual(["audience required", "client_id required", "response_type enum", "verification_code required"]);
  });

  it("what the query says wrongly, before it asks for whom the bearer may act", async () => {
    const other = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, other, tenant.issuer, ["read:accounts"], "client_credentials");
    const token = await tokenOf(latchkey, tenant.account_id, other);
    const verification_code = await mintCode(tenant);
    const faulty = await authorize(tenant, { verification_code, response_type: "x" }, { token });
    expectRefusal(faulty, [400, "invalid_request", /response_type must be one of/], "a fault");
    const right = await authorize(tenant, { verification_code }, { token });
    expectRefusal(right, [403, "insufficient_scope", /may not act/], "no fault");
    expect((await authorize(tenant, { verification_code })).status, "the code is still good").toBe(302);
  });

  it("repeated, badly encoded and twice-given parameters; unknown ones do no harm", async () => {
    const good = new URLSearchParams({
      audience: tenant.audience,
      response_type: "authenticate",
      client_id: tenant.client.id,
      verification_code: code,
    }).toString();
    const rows: [string, string, RegExp][] = [
      ["repeated", `${good}&state=a&state=b`, /state must not be repeated/],
      [
        "repeated with the same value",
        `${good}&audience=${encodeURIComponent(tenant.audience)}`,
        /audience must not be repeated/,
      ],
      ["repeated, once without a value", `${good}&state=a&state=`, /state must not be repeated/],
      ["repeated, first without a value", `verification_code=&${good}`, /verification_code must not be repeated/],
      ["invalid percent", `${good}&state=%zz`, /state is not valid/],
      ["cut percent", `${good}&state=%4`, /state is not valid/],
      ["not UTF-8", `${good}&state=%ff%fe`, /state is not valid/],
      ["overlong UTF-8", `${good}&state=%c0%af`, /state is not valid/],
      ["a surrogate", `${good}&state=%ed%a0%80`, /state is not valid/],
      ["U+0000", `${good}&state=a%00b`, /state is not valid/],
      ["a bad name", `${good}&%ff=1`, /not valid percent-encoded/],
      ["a bad unknown one", `${good}&other=%00`, /other is not valid/],
    ];
    for (const [what, query, message] of rows) {
      const reply = await call(`${tenant.base}/auth/authorize?${query}`, { method: "POST", token: tenant.token });
      expectRefusal(reply, [400, "invalid_request", message], what);
    }
    const both = await authorize(tenant, { verification_code: code }, { form: { state: "again" } });
    expectRefusal(both, [400, "invalid_request", /state must not be in the query and in the body/], "in both places");
    const json = await authorize(tenant, { verification_code: code }, { json: { state: "x" } });
    expectRefusal(json, [415, "unsupported_media_type", /./], "a JSON body with parameters");
    const state = "😀".repeat(1_024);
    const longest = await authorize(tenant, { verification_code: await mintCode(tenant), state });
    expect([longest.status, new URL(longest.headers.get("location") ?? "").searchParams.get("state")]).toEqual([
      302,
      state,
    ]);
    const unknown = await authorize(tenant, {
      verification_code: await mintCode(tenant),
      utm_source: "x",
      __proto__x: "1",
    });
    expect(unknown.status).toBe(302);
  });

  it("takes the longest address that parameters may need, and says of a longer one what to do", async () => {
    const { client_id } = tenant.client;
    const about = { client_id, audience: tenant.audience, redirect_uri: CALLBACK, response_type: "authenticate" };
    const state = "😀".repeat(2_048);
    const query = new URLSearchParams({ ...about, state, verification_code: await mintCode(tenant) });
    // fetch reads no headers of that length.
    const options = { method: "POST", headers: { authorization: `Bearer ${tenant.token}` }, maxHeaderSize: 65_536 };
    const { statusCode, headers } = await new Promise<IncomingMessage>((resolve, reject) =>
      request(`${tenant.base}/auth/authorize?${query}`, options, resolve).on("error", reject).end(),
    );
    expect([statusCode, new URL(headers.location ?? "").searchParams.get("state")]).toEqual([302, state]);
    const url = `${tenant.base}/auth/authorize?state=${"x".repeat(45_000)}`;
    const refused = await call(url, { method: "POST", token: tenant.token });
    expectRefusal(refused, [414, "uri_too_long", /too long/], "a long address");
  });
});
