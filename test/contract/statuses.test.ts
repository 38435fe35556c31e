/** Every success and every 4xx that an operation declares is produced here, and every reply has the shape it declares. */
import { randomUUID } from "node:crypto";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  askForCode,
  authorize,
  basic,
  CALLBACK,
  type CallOptions,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  newAccountId,
  type Reply,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { ATTEMPTS, idsOf, invented } from "../support/operations.ts";

interface Operation {
  readonly operationId: string;
  readonly security: readonly object[];
  readonly responses: Readonly<Record<string, { content?: Record<string, { schema?: object }> }>>;
}

describeOnBothEngines("the contract", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let weak: string;
  const operations = new Map<string, Operation>();
  const seen = new Set<string>();
  const ajv = new Ajv2020({ strict: false, validateFormats: false });

  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:nothing"], "client_credentials");
    weak = await tokenOf(latchkey, tenant.account_id, client);
    const { paths } = (await call(`${latchkey.url}/openapi.json`)).body as {
      paths: Record<string, Record<string, Operation>>;
    };
    for (const operation of Object.values(paths).flatMap((methods) => Object.values(methods)))
      operations.set(operation.operationId, operation);
  });
  afterAll(() => latchkey.close());

  /** Notes that an operation produced a status, and holds the reply against what it declares. */
  function saw(operationId: string, reply: Reply): Reply {
    const declared = operations.get(operationId)?.responses[String(reply.status)];
    expect(declared, `${operationId} answered ${reply.status}, which it does not declare: ${reply.text}`).toBeDefined();
    const schema = declared?.content?.["application/json"]?.schema;
    if (schema && reply.text !== "")
      expect(ajv.validate(schema, reply.body), `${operationId} ${reply.status}: ${ajv.errorsText()}`).toBe(true);
    seen.add(`${operationId} ${reply.status}`);
    return reply;
  }

  it("answers 400, 401, 403 and 404 as every operation with a bearer declares", async () => {
    for (const { operation, method, path, options } of ATTEMPTS) {
      const send = (base: string, token: string | undefined, more: CallOptions = {}) =>
        call(`${base}${path(invented)}`, { method, ...(token ? { token } : {}), ...options?.(invented), ...more });
      expect(saw(operation, await send(`${latchkey.url}/v1/accounts/X1`, tenant.token)).status).toBe(400);
      expect(saw(operation, await send(tenant.base, undefined)).status).toBe(401);
      expect(saw(operation, await send(tenant.base, weak)).status).toBe(403);
      const missing = await send(tenant.base, tenant.token);
      if (missing.status >= 400) saw(operation, missing);
    }
    const production = await createTenant(latchkey, { account_id: newAccountId("P") });
    saw("sandbox_messages_get", await call(`${production.base}/sandbox/messages`, { token: production.token }));
    const json = { ...{ client_id: tenant.client.client_id, audience: tenant.audience }, user_id: randomUUID() };
    saw(
      "aid_auth_passwordless_post",
      await call(`${tenant.base}/auth/passwordless/code`, { method: "POST", token: tenant.token, json }),
    );
  });

  it("answers with success as every operation with a bearer declares", async () => {
    for (const { operation, method, path, options } of ATTEMPTS) {
      const own = await createTenant(latchkey);
      const ids = await idsOf(latchkey, own);
      const reply = saw(
        operation,
        await call(`${own.base}${path(ids)}`, { method, token: own.token, ...options?.(ids) }),
      );
      expect(reply.status, `${operation}: ${reply.text}`).toBeLessThan(400);
    }
    saw(
      "aid_auths_oauth_authorize_post",
      await authorize(tenant, { verification_code: await mintCode(tenant), response_mode: "json" }),
    );
  });

  it("answers 429 where it says so", async () => {
    const own = await createTenant(latchkey, {
      client: { code_format: "numeric" },
      settings: { numeric_guess_limit: 1 },
    });
    const guess = (verification_code: string) =>
      authorize(own, { verification_code, ident_type: "email", ident: own.user.email });
    await askForCode(own);
    await guess("000000");
    saw("aid_auths_oauth_authorize_post", await guess("000001"));
    const hasty = await createTenant(latchkey, { settings: { client_sends_per_minute: 1 } });
    await askForCode(hasty);
    saw("aid_auth_account_passwordless_post", await askForCode(hasty, { email: "two@example.com" }));
    const minted = [];
    const json = { client_id: own.client.client_id, audience: own.audience, user_id: own.user.id };
    for (let n = 0; n < 6; n++)
      minted.push(await call(`${own.base}/auth/passwordless/code`, { method: "POST", token: own.token, json }));
    saw("aid_auth_passwordless_post", minted.at(-1) as Reply);
  });

  it("answers without a bearer as it declares", async () => {
    const authorization = basic(tenant.client);
    const grant_type = "client_credentials";
    const token = (operation: string, path: string, options: CallOptions) =>
      call(`${tenant.base}${path}`, { method: "POST", ...options }).then((reply) => saw(operation, reply).status);
    const account = (json: object, headers: Record<string, string> = { authorization }) =>
      token("aid_auths_oauth_token_post", "/auth/token", { headers, json });
    expect(await account({ grant_type, audience: tenant.issuer })).toBe(200);
    expect(await account({ grant_type: "magic", audience: tenant.issuer })).toBe(400);
    expect(await account({ grant_type, audience: tenant.issuer }, {})).toBe(401);
    expect(await account({ grant_type, audience: "https://nobody.example" })).toBe(403);

    const authorized = await authorize(tenant, {
      verification_code: await mintCode(tenant),
      response_type: "code",
      scope: "openid",
    });
    const code = new URL(authorized.headers.get("location") ?? "").searchParams.get("code") ?? "";
    const standard = (form: Record<string, string>, headers: Record<string, string> = { authorization }) =>
      token("oauth_token_post", "/oauth/token", { headers, form });
    expect(await standard({ grant_type: "authorization_code", code, redirect_uri: CALLBACK })).toBe(200);
    expect(await standard({ grant_type: "authorization_code", code, redirect_uri: CALLBACK })).toBe(400);
    expect(await standard({ grant_type: "authorization_code", code: "x" }, {})).toBe(401);

    const nowhere = `${latchkey.url}/v1/accounts/T99999999`;
    for (const [operation, path] of [
      ["openid_configuration_get", "/.well-known/openid-configuration"],
      ["oauth_authorization_server_get", "/.well-known/oauth-authorization-server"],
      ["oauth_jwks_get", "/oauth/jwks.json"],
    ] as const) {
      expect(saw(operation, await call(`${tenant.base}${path}`)).status).toBe(200);
      expect(saw(operation, await call(`${nowhere}${path}`)).status).toBe(404);
      expect(saw(operation, await call(`${latchkey.url}/v1/accounts/X1${path}`)).status).toBe(400);
    }
    const well_known = `${latchkey.url}/.well-known/oauth-authorization-server/v1/accounts`;
    for (const [oid, status] of [
      [tenant.account_id, 200],
      ["T99999999", 404],
      ["X1", 400],
    ] as const)
      expect(saw("well_known_oauth_authorization_server_get", await call(`${well_known}/${oid}`)).status).toBe(status);

    expect(saw("healthz_get", await call(`${latchkey.url}/healthz`)).status).toBe(200);
    expect(saw("readyz_get", await call(`${latchkey.url}/readyz`)).status).toBe(200);
    expect((await call(`${latchkey.url}/metrics`)).text).toContain("latchkey_http_request_duration_seconds_bucket");
    saw("metrics_get", await call(`${latchkey.url}/metrics`));
    const proxied = { headers: { "x-forwarded-for": "203.0.113.7" } };
    expect(saw("metrics_get", await call(`${latchkey.url}/metrics`, proxied)).status).toBe(404);
  });

  it("has produced every success and 4xx that is declared", () => {
    const declared = [...operations.values()].flatMap(({ operationId, responses }) =>
      Object.keys(responses)
        .filter((status) => Number(status) < 500)
        .map((status) => `${operationId} ${status}`),
    );
    expect(declared.filter((status) => !seen.has(status))).toEqual([]);
  });

  it("answers 503 on each surface once the database is gone, and says so in /readyz", async () => {
    const code = await mintCode(tenant);
    await latchkey.server.core.storage.close();
    const account = await authorize(tenant, { verification_code: code });
    expect([500, 503]).toContain(account.status);
    saw("aid_auths_oauth_authorize_post", account);
    const form = { grant_type: "authorization_code", code: "x".repeat(43), redirect_uri: CALLBACK };
    const headers = { authorization: basic(tenant.client) };
    const standard = saw(
      "oauth_token_post",
      await call(`${tenant.base}/oauth/token`, { method: "POST", headers, form }),
    );
    expect([500, 503]).toContain(standard.status);
    const ready = saw("readyz_get", await call(`${latchkey.url}/readyz`));
    expect(ready).toMatchObject({ status: 503, body: { status: "not ready", checks: { database: "failed" } } });
    expect((await call(`${latchkey.url}/healthz`)).status).toBe(200);
  });
});
