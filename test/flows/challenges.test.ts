/** What a refused bearer learns from `WWW-Authenticate` (RFC 6750 §3): what is missing, and where to get it. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { lookUpToken } from "../../src/oauth/bearer/find-alive.ts";
import { findToken } from "../../src/oauth/bearer/find-token.ts";
import { openRevocations } from "../../src/revocation/revocation.ts";
import { athOf, openKey, type ProofKey } from "../support/dpop.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  basic,
  type CallOptions,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { ATTEMPTS, invented } from "../support/operations.ts";
import { personToken } from "../support/people.ts";

describeOnBothEngines("a challenge", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const challenge = async (url: string, headers: Record<string, string> = {}) => {
    const reply = await call(url, { headers });
    const said = reply.headers.get("www-authenticate") ?? "";
    const parts = Object.fromEntries([...said.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
    const nonce = reply.headers.get("dpop-nonce") ?? "";
    return { status: reply.status, scheme: said.split(" ")[0], parts, nonce, message: reply.body.error.message };
  };

  it("names no error where no token was sent", async () => {
    const { status, scheme, parts } = await challenge(`${tenant.base}/auth/clients`);
    expect([status, scheme, parts]).toEqual([401, "Bearer", { realm: "latchkey" }]);
  });

  it("says that a token is not good, in the words of the reply", async () => {
    for (const authorization of ["Bearer x.y.z", "Basic YTpi", `Bearer ${tenant.token}x`, "Bearer"]) {
      const { status, scheme, parts, message } = await challenge(`${tenant.base}/auth/clients`, { authorization });
      expect([status, scheme, parts.error, parts.error_description], authorization).toEqual([
        ...[401, "Bearer", "invalid_token", message],
      ]);
    }
  });

  it("names the scopes of which one is missing, and the token is good once it has it", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    const grant = (scope: string[]) => addGrant(latchkey, tenant.account_id, client, tenant.issuer, scope);
    await grant(["orders:read"]);
    const weak = { authorization: `Bearer ${await tokenOf(latchkey, tenant.account_id, client)}` };
    const { status, scheme, parts } = await challenge(`${tenant.base}/auth/clients`, weak);
    expect([status, scheme, parts.error]).toEqual([403, "Bearer", "insufficient_scope"]);
    for (const scope of parts.scope?.split(" ") ?? [""]) {
      const able = await addClient(latchkey, tenant.account_id);
      await addGrant(latchkey, tenant.account_id, able, tenant.issuer, [scope]);
      const token = await tokenOf(latchkey, tenant.account_id, able);
      expect((await call(`${tenant.base}/auth/clients`, { token })).status, scope).toBe(200);
    }
  });

  it("names at every operation the scopes that the operation is described with", async () => {
    const { paths } = (await call(`${latchkey.url}/openapi.json`)).body as { paths: Record<string, object> };
    const described = new Map<string, string[]>();
    for (const { operationId, description = "" } of Object.values(paths).flatMap((methods) => Object.values(methods))) {
      const [, named = ""] = /Scopes, any of: (.*)\./.exec(description) ?? [];
      described.set(
        operationId,
        [...named.matchAll(/`([^`]+)`/g)].map(([, scope]) => scope ?? ""),
      );
    }
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["orders:read"]);
    const weak = await tokenOf(latchkey, tenant.account_id, client);
    for (const { operation, method, path, options } of ATTEMPTS.filter(
      ({ operation }) => described.get(operation)?.[0],
    )) {
      const url = `${tenant.base}${path(invented)}`;
      const { status, headers } = await call(url, { method, token: weak, ...options?.(invented) });
      const said = headers.get("www-authenticate") ?? "";
      const [, scope] = /error="insufficient_scope".* scope="([^"]*)"/.exec(said) ?? [];
      expect([status, scope?.split(" ")], `${operation}: ${said}`).toEqual([403, described.get(operation)]);
    }
  });

  it("names the scopes that what is asked for needs beyond the operation's own", async () => {
    const own = await addClient(latchkey, tenant.account_id);
    const send = "write:accounts:/auth/passwordless";
    const holds = [`${send}-sms`, "create:customers:/users", "write:accounts:/auth/refresh"];
    await addGrant(latchkey, tenant.account_id, own, tenant.issuer, holds);
    const weak = await tokenOf(latchkey, tenant.account_id, own);
    const { audience, user } = tenant;
    const { client_id } = tenant.client;
    const person = { email: `${randomUUID()}@example.com`, password: "a long enough password" };
    const rows: readonly [path: string, options: CallOptions, scopes: string][] = [
      [
        "/auth/passwordless",
        { json: { client_id, audience, connection: "email", email: user.email } },
        `admin:accounts write:accounts ${send} ${send}-email`,
      ],
      [
        "/auth/authorize",
        { query: { client_id, audience, response_type: "authenticate", verification_code: "x" } },
        "admin:accounts write:accounts write:accounts:/auth/users",
      ],
      ["/customers/users", { json: person }, "write:accounts:/auth/users write:accounts admin:accounts"],
    ];
    for (const [path, options, scopes] of rows) {
      const { status, headers } = await call(`${tenant.base}${path}`, { method: "POST", token: weak, ...options });
      const said = headers.get("www-authenticate");
      expect([status, said], path).toEqual([403, expect.stringContaining('error="insufficient_scope"')]);
      expect(said, path).toContain(` scope="${scopes}"`);
    }
    const admin = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, admin, tenant.issuer, ["write:accounts"]);
    const json = { name: "support", scope: ["openid", "admin:customers", "read:secrets"] };
    const token = await tokenOf(latchkey, tenant.account_id, admin);
    const { status, headers } = await call(`${tenant.base}/auth/roles`, { method: "POST", token, json });
    expect([status, headers.get("www-authenticate")]).toEqual([
      403,
      expect.stringContaining(' scope="admin:customers read:secrets"'),
    ]);
  });

  it("is the same whether or not a token names an account", async () => {
    const part = (claims: unknown) => Buffer.from(JSON.stringify(claims)).toString("base64url");
    const claims = [
      {},
      null,
      "T00000001",
      { oid: 1 },
      { oid: "X1" },
      { oid: tenant.account_id },
      { oid: tenant.account_id, iss: tenant.issuer },
      { aud: 1 },
      { aud: tenant.account_id },
      { aud: ["x/accounts/T1", "T12345678x"] },
      { aud: ["x", tenant.issuer] },
    ];
    for (const token of [...claims.map((one) => `${part({})}.${part(one)}.AAAA`), "x"]) {
      const authorization = `Bearer ${token}`;
      const { status, parts } = await challenge(`${latchkey.url}/v1/account/user`, { authorization });
      expect([status, Object.keys(parts).sort()], token).toEqual([401, ["error", "error_description", "realm"]]);
      expect(parts.error).toBe("invalid_token");
    }
  });

  it("is not needed for a scheme in any case, with blanks around the token", async () => {
    for (const authorization of [`bearer ${tenant.token}`, `BEARER   ${tenant.token}  `])
      expect((await call(`${tenant.base}/auth/clients`, { headers: { authorization } })).status).toBe(200);
    for (const authorization of [`Bearer${tenant.token}`, `xBearer ${tenant.token}`, `Bearer ${tenant.token} x`])
      expect((await call(`${tenant.base}/auth/clients`, { headers: { authorization } })).status).toBe(401);
  });

  it("asks for a proof where a token is bound to a key, and says what was wrong with it", async () => {
    const own = await addClient(latchkey, tenant.account_id, { dpop_bound_access_tokens: true });
    await addGrant(latchkey, tenant.account_id, own, tenant.issuer, ["admin:accounts"]);
    const [key, stranger] = [await openKey(tenant.issuer), await openKey(tenant.issuer)];
    const ask = async (nonce?: string) =>
      call(`${tenant.base}/oauth/token`, {
        method: "POST",
        headers: { authorization: basic(own), dpop: await key.proof({ nonce }) },
        form: { grant_type: "client_credentials", audience: tenant.issuer },
      });
    const { access_token } = (await ask((await ask()).headers.get("dpop-nonce") ?? "")).body;
    const url = `${tenant.base}/auth/clients`;
    const about = { htm: "GET", ath: athOf(access_token) };
    const show = async (by: ProofKey, nonce?: string) => {
      const dpop = await by.proof({ ...about, nonce }, {}, "/auth/clients");
      return { authorization: `DPoP ${access_token}`, dpop };
    };
    const asked = await challenge(url, await show(key));
    expect([asked.status, asked.scheme, asked.parts.error]).toEqual([401, "DPoP", "use_dpop_nonce"]);
    expect(asked.parts.algs?.split(" ")).toContain("ES256");
    expect((await call(url, { headers: await show(key, asked.nonce) })).status).toBe(200);
    const elsewhere = `/customers/users/${tenant.user.id}/consents`;
    const dpop = await key.proof({ ...about, nonce: asked.nonce }, {}, elsewhere);
    const lacking = await challenge(`${tenant.base}${elsewhere}`, { authorization: `DPoP ${access_token}`, dpop });
    expect([lacking.status, lacking.scheme, lacking.parts.error]).toEqual([403, "DPoP", "insufficient_scope"]);
    const without = await challenge(url, { authorization: `DPoP ${access_token}` });
    expect([without.status, without.scheme, without.parts.error]).toEqual([401, "DPoP", "invalid_dpop_proof"]);
    expect(without.message).toMatch(/proof/);
    for (const headers of [
      await show(stranger, asked.nonce),
      { ...(await show(key, asked.nonce)), authorization: `Bearer ${access_token}` },
      { ...(await show(key, asked.nonce)), authorization: `DPoP ${tenant.token}` },
    ]) {
      const { status, scheme, parts } = await challenge(url, headers);
      const [came = ""] = headers.authorization.split(" ");
      expect([status, scheme, parts.error]).toEqual([401, came, "invalid_token"]);
      expect(parts.algs !== undefined).toBe(came === "DPoP");
    }
  });

  it("comes with every 401 of a client that tried Basic, and opens no password window for others", async () => {
    const { client } = tenant;
    const wrong = { ...client, client_secret: "wrong" };
    const ended = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, ended, tenant.audience, ["orders:read"]);
    const basic_only = 'Basic realm="latchkey", charset="UTF-8"';
    const about = { grant_type: "client_credentials", resource: tenant.audience, token: "x" };
    const ask = async (path: string, form: Record<string, string>, headers = {}) => {
      const reply = await call(`${tenant.base}/${path}`, { method: "POST", headers, form: { ...about, ...form } });
      return [reply.status, reply.body.error, reply.headers.get("www-authenticate")];
    };
    const { client_id, client_secret } = wrong;
    const client_assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    for (const path of ["token", "introspect", "revoke", "par", "device_authorization"].map((one) => `oauth/${one}`)) {
      for (const form of [{}, { client_id, client_secret }, { client_assertion: "x", client_assertion_type }])
        expect(await ask(path, form), path).toEqual([401, "invalid_client", null]);
      const tried = await ask(path, {}, { authorization: basic(wrong) });
      expect(tried, path).toEqual([401, "invalid_client", basic_only]);
    }
    const [status, , said] = await ask("auth/token", { audience: tenant.audience });
    expect([status, said], "where nothing else is taken").toEqual([401, basic_only]);
    const authorization = basic(ended);
    expect((await ask("oauth/token", {}, { authorization }))[0]).toBe(200);
    await latchkey.server.core.storage.write(async ({ db }) => {
      const not_after = new Date(latchkey.server.core.storage.now()).toISOString();
      await db.updateTable("client_secrets").set({ not_after }).where("client_id", "=", ended.id).execute();
    });
    expect(await ask("oauth/token", {}, { authorization }), "an end that is not known here yet").toEqual([
      ...[401, "invalid_client", basic_only],
    ]);
  });

  it("comes where an access token comes in two ways", async () => {
    const form = { access_token: tenant.token };
    const twice = await call(`${tenant.base}/oauth/userinfo`, { method: "POST", token: tenant.token, form });
    expect([twice.status, twice.body.error, twice.headers.get("www-authenticate")]).toEqual([
      ...[400, "invalid_request", expect.stringMatching(/^Bearer realm="latchkey", error="invalid_request"/)],
    ]);
  });

  it("answers an empty Authorization as none", async () => {
    const { client_id, client_secret } = tenant.client;
    const headers = { authorization: "" };
    const form = { grant_type: "client_credentials", resource: tenant.audience, client_id, client_secret };
    const told = await call(`${tenant.base}/oauth/token`, { method: "POST", headers, form });
    expect(told.status, told.text).toBe(200);
    const open = await addClient(latchkey, tenant.account_id, { token_endpoint_auth_method: "none" });
    const revoked = { client_id: open.client_id, token: "x" };
    expect((await call(`${tenant.base}/oauth/revoke`, { method: "POST", headers, form: revoked })).status).toBe(200);
    const by_form = { access_token: await personToken(tenant) };
    const asked = await call(`${tenant.base}/oauth/userinfo`, { method: "POST", headers, form: by_form });
    expect(asked.body.error).not.toBe("invalid_request");
    const { scheme, parts } = await challenge(`${tenant.base}/auth/clients`, headers);
    expect([scheme, Object.keys(parts)]).toEqual(["Bearer", ["realm"]]);
    const owner = await createTenant(latchkey, { settings: { open_registration: true } });
    const json = { client_name: "App", redirect_uris: ["https://app.example/cb"], token_endpoint_auth_method: "none" };
    const registered = await call(`${owner.base}/oauth/register`, { method: "POST", headers, json });
    expect(registered.status, registered.text).toBe(201);
  });

  it("comes with what userinfo refuses; elsewhere such a token is inactive, and no error", async () => {
    const person = await personToken(tenant, tenant.audience);
    const at = (path: string) => `${tenant.base}/oauth/${path}`;
    const ask = (path: string, token: string) =>
      call(at(path), { method: "POST", headers: { authorization: basic(tenant.client) }, form: { token } });
    expect((await ask("introspect", person)).body).toMatchObject({ active: true, sub: tenant.user.id });
    expect((await call(at("userinfo"), { token: person })).status).toBe(403);
    expect((await ask("revoke", person)).status).toBe(200);
    const none = await call(at("userinfo"));
    expect([none.status, none.headers.get("www-authenticate")]).toEqual([
      401,
      expect.stringMatching(/^Bearer realm="latchkey"/),
    ]);
    for (const token of [person, "x.y.z"]) {
      const refused = await call(at("userinfo"), { token });
      const said = refused.headers.get("www-authenticate");
      expect([refused.status, said], token).toEqual([401, expect.stringContaining('error="invalid_token"')]);
      expect((await ask("introspect", token)).body).toEqual({ active: false });
      expect((await ask("revoke", token)).status).toBe(200);
    }
  });

  it("is given by the account in the path, whatever account a token is of", async () => {
    const other = await createTenant(latchkey);
    const { status, parts } = await challenge(`${tenant.base}/auth/clients`, {
      authorization: `Bearer ${other.token}`,
    });
    expect([status, parts.error]).toEqual([401, "invalid_token"]);
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, []);
    const about = { grant_type: "client_credentials", audience: tenant.audience };
    const headers = { authorization: basic(client) };
    const { access_token } = (await call(`${tenant.base}/auth/token`, { method: "POST", headers, json: about })).body;
    const elsewhere = await challenge(`${tenant.base}/auth/clients`, { authorization: `Bearer ${access_token}` });
    expect([elsewhere.status, elsewhere.parts.error], "for another audience").toEqual([401, "invalid_token"]);
    const part = (claims: unknown) => Buffer.from(JSON.stringify(claims)).toString("base64url");
    for (const iss of [undefined, "https://idp.example"]) {
      const authorization = `Bearer ${part({})}.${part({ oid: "T99999999", iss })}.AAAA`;
      const nobody = await challenge(`${latchkey.url}/v1/account/user`, { authorization });
      expect([nobody.status, nobody.parts.error], "no such account").toEqual([401, "invalid_token"]);
    }
  });

  it("comes with every token that may not, and is not given where there is nothing, nor to a bad address", async () => {
    const token = await personToken(tenant);
    const refused = await call(`${tenant.base}/auth/passwordless`, { method: "POST", token, json: {} });
    expect([refused.status, refused.body.error.code, refused.body.error.message]).toEqual([
      ...[403, "insufficient_scope", "This operation takes a client's token."],
    ]);
    const nothing = await call(`${tenant.base}/auth/nothing`);
    const bad = await call(`${latchkey.url}/v1/accounts/T1/auth/clients`, { token });
    expect([nothing.status, bad.status]).toEqual([404, 400]);
    expect(refused.headers.get("www-authenticate")).toMatch(
      /^Bearer realm="latchkey", error="insufficient_scope", error_description="This operation takes a client's token."/,
    );
    for (const { headers } of [nothing, bad]) expect(headers.get("www-authenticate")).toBeNull();
    const asked = await call(`${tenant.base}/auth/authorize`, { method: "POST", token });
    const said = asked.headers.get("www-authenticate");
    expect([asked.status, said]).toEqual([401, expect.stringContaining('error="invalid_token"')]);
  });

  it("is no answer of a process that does not know what was revoked", async () => {
    const { core } = latchkey.server;
    let clock = 0;
    const revocations = await openRevocations(core.storage, { monotonic: () => clock });
    const directory = { ...core.directory, revocations };
    const deps = { directory, tokens: core.tokens };
    const presented = { authorization: `Bearer ${tenant.token}`, method: "GET", path: "/" };
    const asked = [
      () => lookUpToken(deps, tenant.account_id, tenant.token),
      () => findToken(deps, tenant.account_id, presented),
    ];
    for (const ask of asked) expect(await ask()).toMatchObject({ client_uuid: tenant.client.id });
    clock = 60_000;
    for (const ask of asked) await expect(ask()).rejects.toMatchObject({ code: "temporarily_unavailable" });
    await revocations.stop();
  });
});
