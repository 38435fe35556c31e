import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  askForCode,
  authorize,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  receiveCode,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { expectRefusal, type Row } from "../support/refusals.ts";
import { letPass } from "../support/time.ts";

describeOnBothEngines("auth/authorize, understanding the request, refuses", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let weak: { client: TestClient; token: string };

  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    const client = await addClient(latchkey, tenant.account_id, {
      callbacks: [CALLBACK, "https://shop.example/two"],
      response_types: ["authenticate"],
      connections: ["email"],
    });
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:accounts"], "client_credentials");
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, [], "authorization_code");
    weak = { client, token: await tokenOf(latchkey, tenant.account_id, client) };
  });
  afterAll(() => latchkey.close());

  it("clients, callbacks, grants, response types and connections, in that order", async () => {
    const code = await mintCode(tenant);
    const rows: Row[] = [
      { what: "unknown client", fields: { client_id: "nobody" }, expected: [403, "unauthorized_client", /unknown/] },
      {
        what: "unknown client with a foreign callback",
        fields: { client_id: "nobody", redirect_uri: "https://evil.example" },
        expected: [403, "unauthorized_client", /unknown/],
      },
      {
        what: "a bearer for somebody else",
        options: { token: weak.token },
        fields: {},
        expected: [403, "insufficient_scope", /may not act/],
      },
      {
        what: "no callback named, several registered",
        fields: { client_id: weak.client.id, redirect_uri: undefined },
        expected: [400, "redirect_uri_required", /several/],
      },
      ...[
        "https://shop.example/callback/",
        "https://shop.example/callback?x=1",
        "https://shop.example/CALLBACK",
        "https://shop.example:443/callback",
        "http://shop.example/callback",
        "https://shop.example.evil.example/callback",
        "https://shop.example/callback#x",
        "https://shop.example/callback%2F..",
        "https://evil.example@shop.example/callback",
        "javascript:alert(1)",
        "//shop.example/callback",
      ].map(
        (redirect_uri): Row => ({
          what: redirect_uri,
          fields: { redirect_uri },
          expected: [400, "redirect_uri_mismatch", /not registered/],
        }),
      ),
      {
        what: "an audience without grant",
        fields: { audience: "https://api.other.example" },
        expected: [403, "unauthorized_client", /no grant/],
      },
      {
        what: "an audience without grant, after the callback",
        fields: { audience: "https://api.other.example", redirect_uri: "https://evil.example" },
        expected: [400, "redirect_uri_mismatch", /./],
      },
      {
        what: "a grant of another type",
        fields: { client_id: weak.client.id, audience: tenant.issuer },
        expected: [403, "unauthorized_client", /authorization_code or any/],
      },
      {
        what: "a response_type that is not enabled",
        fields: { client_id: weak.client.id, response_type: "token" },
        expected: [400, "unsupported_response_type", /not enabled/],
      },
      {
        what: "an unknown connection",
        fields: { connection: "carrier-pigeon" },
        expected: [400, "invalid_request", /connection/],
      },
      {
        what: "a connection that the client lacks",
        fields: { client_id: weak.client.id, connection: "sms" },
        expected: [400, "invalid_request", /connection/],
      },
    ];
    for (const { what, fields, options, expected } of rows) {
      expectRefusal(await authorize(tenant, { verification_code: code, ...fields }, options), expected, what);
    }
    expect((await authorize(tenant, { verification_code: code })).status, "the code was not spent by any of this").toBe(
      302,
    );
  });

  it("a code for a client from which the account took authorization_code, and spends nothing", async () => {
    const client = await addClient(latchkey, tenant.account_id, { grant_types: ["client_credentials"] });
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, [], "authorization_code");
    const { client_id } = client;
    const verification_code = await mintCode(tenant, { client_id });
    const pkce = { code_challenge: "a".repeat(43), code_challenge_method: "S256" };
    const coded = { client_id, verification_code, response_type: "code", ...pkce };
    expectRefusal(
      await authorize(tenant, coded),
      [403, "unauthorized_client", /may not use authorization_code/],
      "code",
    );
    expect((await authorize(tenant, { client_id, verification_code })).status, "authenticate").toBe(302);
  });

  it("codes: unknown, another client's or audience's, another connection's, used", async () => {
    const other = await addClient(latchkey, tenant.account_id, {});
    await addGrant(latchkey, tenant.account_id, other, tenant.audience, []);
    const mine = await mintCode(tenant);
    const sent = await receiveCode(tenant);
    const rows: Row[] = [
      {
        what: "never issued",
        fields: { verification_code: "7KQM4-X2PVD" },
        expected: [400, "invalid_verification_code", /not valid/],
      },
      {
        what: "no code at all",
        fields: { verification_code: "hello, world" },
        expected: [400, "invalid_verification_code", /not valid/],
      },
      { what: "digits alone", fields: { verification_code: "123456" }, expected: [400, "ident_required", /numeric/i] },
      {
        what: "another client's",
        fields: { verification_code: mine, client_id: other.id },
        expected: [400, "invalid_verification_code", /not valid/],
      },
      {
        what: "another audience's",
        fields: { verification_code: mine, audience: tenant.issuer },
        expected: [400, "invalid_verification_code", /not valid/],
      },
      {
        what: "another connection's",
        fields: { verification_code: sent, connection: "sms" },
        expected: [400, "invalid_verification_code", /not valid/],
      },
      {
        what: "another person's",
        fields: { verification_code: sent, ident_type: "email", ident: "eve@example.com" },
        expected: [400, "invalid_verification_code", /not valid/],
      },
    ];
    for (const { what, fields, expected } of rows) expectRefusal(await authorize(tenant, fields ?? {}), expected, what);
    const spelled = ` ${sent.toLowerCase().replace("-", " ")} `.replaceAll("0", "o").replaceAll("1", "l");
    expect((await authorize(tenant, { verification_code: spelled, connection: "email" })).status).toBe(302);
    const used: Row["expected"] = [400, "verification_code_used", /has been used/];
    expectRefusal(await authorize(tenant, { verification_code: sent }), used, "used");
    expectRefusal(await authorize(tenant, { verification_code: mine }), used, "its sibling, for the same login");
  });

  it("an expired code, and a used one that has expired since says used", async () => {
    const { storage } = latchkey.server.core;
    const late = await mintCode(tenant);
    const used = await (async () => {
      const code = await mintCode(tenant);
      expect((await authorize(tenant, { verification_code: code })).status).toBe(302);
      return code;
    })();
    const past = new Date(storage.now() - 1_000).toISOString();
    const fresh = await mintCode(tenant);
    await storage.write((tx) =>
      tx.db
        .updateTable("verification_codes")
        .set({ expires_at: past })
        .where("account_id", "=", tenant.account_id)
        .execute(),
    );
    expectRefusal(
      await authorize(tenant, { verification_code: fresh }),
      [400, "verification_code_expired", /has expired/],
      "expired",
    );
    expectRefusal(
      await authorize(tenant, { verification_code: used }),
      [400, "verification_code_used", /has been used/],
      "used and expired",
    );
    expectRefusal(
      await authorize(tenant, { verification_code: late }),
      [400, "verification_code_used", /has been used/],
      "spent as a sibling",
    );
  });

  it("an expired code by that name beside its login session too, and one of no such session as invalid", async () => {
    const { storage } = latchkey.server.core;
    const expired: Row["expected"] = [400, "verification_code_expired", /has expired/];
    const invalid: Row["expected"] = [400, "invalid_verification_code", /not valid/];
    for (const code_format of ["typable", "numeric"] as const) {
      const late = await createTenant(latchkey);
      const { base, token, audience, account_id } = late;
      const client = await addClient(latchkey, account_id, { code_format });
      await addGrant(latchkey, account_id, client, audience, []);
      const login_session_id = (await askForCode(late, { client })).headers.get("login-session-id") ?? "";
      const [mail] = await inbox(late, late.user.email);
      const verification_code = mail?.verification_code ?? "";
      const pass = async (seconds: number) => {
        await letPass(latchkey, "verification_codes", account_id, seconds);
        await letPass(latchkey, "login_sessions", account_id, seconds);
      };
      const json = { grant_type: "authorization_code", audience, verification_code, login_session_id };
      const ways = (fields = {}) => [
        authorize(late, { client_id: client.client_id, verification_code, login_session_id, ...fields }),
        call(`${base}/auth/token`, { method: "POST", token, json: { ...json, ...fields } }),
      ];
      const unheard = { login_session_id: "unheard-of" };
      for (const reply of ways(unheard)) expectRefusal(await reply, invalid, `${code_format}, no such session`);
      await pass(601);
      for (const reply of ways()) expectRefusal(await reply, expired, `${code_format}, late`);
      await pass(86_400);
      for (const reply of ways()) expectRefusal(await reply, invalid, `${code_format}, a day late`);
      const events = await storage.read
        .selectFrom("audit_events")
        .select("context")
        .where("account_id", "=", account_id)
        .where("action", "=", "verification_code.refused")
        .execute();
      const reasons = events.map(({ context }) => JSON.parse(context).reason).toSorted();
      expect(reasons, "each is written down").toEqual([
        ...Array(4).fill("invalid_verification_code"),
        ...Array(2).fill("verification_code_expired"),
      ]);
    }
  });

  it("deleted clients, grants and users: nothing is issued from the answer of the delete on", async () => {
    const doomed = await createTenant(latchkey);
    const fresh = () => mintCode(doomed);
    const [byUser, byGrant, byClient] = [await fresh(), await fresh(), await fresh()];
    const del = async (path: string) =>
      expect((await call(`${doomed.base}${path}`, { method: "DELETE", token: doomed.token })).status).toBe(200);
    await del(`/customers/users/${doomed.user.id}`);
    expectRefusal(
      await authorize(doomed, { verification_code: byUser }),
      [400, "invalid_verification_code", /./],
      "deleted user",
    );
    const grants = await call(`${doomed.base}/auth/client-grants`, {
      token: doomed.token,
      query: { audience: doomed.audience },
    });
    await del(`/auth/client-grants/${grants.body[0].id}`);
    expectRefusal(
      await authorize(doomed, { verification_code: byGrant }),
      [403, "unauthorized_client", /./],
      "deleted grant",
    );
    await del(`/auth/clients/${doomed.client.id}`);
    expectRefusal(
      await authorize(doomed, { verification_code: byClient }),
      [401, "invalid_token", /./],
      "deleted client, whose own token this is",
    );
  });
});
