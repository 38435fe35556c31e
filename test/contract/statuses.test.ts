/**
 * Every success and every 4xx that an operation declares is produced here, and every reply has the shape it declares;
 * for 503 see out-of-reach.test.ts.
 */
import { randomUUID } from "node:crypto";
import { get } from "node:http";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { customersTooOften } from "../support/customers-too-often.ts";
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
  inbox,
  type Latchkey,
  mintCode,
  newAccountId,
  newOwnerId,
  type Reply,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { ATTEMPTS, idsOf, invented, OWN_ATTEMPTS } from "../support/operations.ts";
import {
  addPerson,
  logInAccountUser,
  logInByMail,
  oneTimePassword,
  PASSWORD,
  personToken,
  token,
} from "../support/people.ts";
import { standardOperations } from "../support/standard-operations.ts";
import { openUpstream } from "../support/upstream.ts";

interface Answer {
  readonly description: string;
  readonly content?: Record<string, { schema?: object }>;
}

interface Operation {
  readonly operationId: string;
  readonly path: string;
  readonly method: string;
  readonly security: readonly object[];
  readonly requestBody?: { readonly content: Readonly<Record<string, object>> };
  readonly responses: Readonly<Record<string, Answer & { readonly $ref?: string }>>;
}

describeOnBothEngines("the contract", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let weak: string;
  const operations = new Map<string, Operation>();
  const seen = new Set<string>();
  const ajv = new Ajv2020({ strict: false, validateFormats: false });

  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:nothing"], "client_credentials");
    weak = await tokenOf(latchkey, tenant.account_id, client);
    const { paths, components } = (await call(`${latchkey.url}/openapi.json`)).body as {
      paths: Record<string, Record<string, Operation>>;
      components: { responses: Record<string, Answer> };
    };
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, one] of Object.entries(methods)) {
        const responses = Object.entries(one.responses).map(([status, { $ref = "", ...answer }]) => {
          const common = components.responses[$ref.slice("#/components/responses/".length)];
          return [status, common ?? answer];
        });
        operations.set(one.operationId, {
          ...one,
          path,
          method: method.toUpperCase(),
          responses: Object.fromEntries(responses),
        });
      }
    }
  });
  afterAll(() => latchkey.close());

  /** Notes a status, and holds the reply against what its operation declares. */
  function saw(operationId: string, reply: Reply): Reply {
    const declared = operations.get(operationId)?.responses[String(reply.status)];
    expect(declared, `${operationId} answered ${reply.status}, which it does not declare: ${reply.text}`).toBeDefined();
    const schema = declared?.content?.["application/json"]?.schema;
    if (schema && reply.text !== "")
      expect(ajv.validate(schema, reply.body), `${operationId} ${reply.status}: ${ajv.errorsText()}`).toBe(true);
    const refused = reply.status >= 400 ? (reply.body?.error?.code ?? reply.body?.error) : undefined;
    if (refused) expect(declared?.description, `${operationId} ${reply.text}`).toContain(`\`${refused}\``);
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
    const unknown = { method: "POST", token: tenant.token, json };
    saw("aid_auth_passwordless_post", await call(`${tenant.base}/auth/passwordless/code`, unknown));
  });

  const addressOf = ({ path }: Operation, name: string) =>
    `${latchkey.url}${path.replace("{oid}", tenant.account_id).replaceAll(/\{\w+\}/g, name)}`;

  it("refuses a long name, a long body and a body of another kind as every operation declares", async () => {
    const me = await logInAccountUser(latchkey, tenant);
    const bearers = [tenant.token, await personToken(tenant), me.token];
    const refused = async (operation: Operation, status: number, type: string, raw: string) => {
      const url = addressOf(operation, "x");
      for (const token of bearers) {
        const reply = await call(url, { method: operation.method, token, headers: { "content-type": type }, raw });
        if (reply.status === status) return saw(operation.operationId, reply);
      }
      return expect.fail(`${operation.operationId} did not answer ${status}`);
    };
    for (const operation of operations.values()) {
      const { operationId, path, method, requestBody } = operation;
      if (path.includes("{")) {
        const url = `${latchkey.url}${path.replace(/\{\w+\}(?!.*\{)/, "x".repeat(600)).replace("{oid}", tenant.account_id)}`;
        expect(saw(operationId, await call(url, { method })).status, operationId).toBe(414);
      }
      if (!requestBody) continue;
      for (const type of Object.keys(requestBody.content)) await refused(operation, 413, type, "x".repeat(70_000));
      await refused(operation, 415, "text/plain", "x");
    }
  });

  it("asks for a token where the description says so, and nowhere else", async () => {
    for (const operation of operations.values()) {
      const { operationId, method, security = [], requestBody } = operation;
      // Who asks for a token says first which.
      const json = { redirect_uris: ["https://app.example/callback"], grant_type: "password" };
      const { status } = await call(addressOf(operation, "x"), { method, ...(requestBody ? { json } : {}) });
      if (security.length === 0) expect(status, operationId).not.toBe(401);
      else if (!security.some((one) => Object.keys(one).length === 0)) expect(status, operationId).toBe(401);
    }
  });

  it("answers with success as every operation with a bearer declares", async () => {
    for (const { operation, method, path, options, person, special } of ATTEMPTS) {
      if (special) continue;
      const own = await createTenant(latchkey, { account_id: newOwnerId() });
      const ids = await idsOf(latchkey, own);
      const reply = saw(
        operation,
        await call(`${own.base}${path(ids)}`, {
          method,
          token: person ? await personToken(own) : own.token,
          ...options?.(ids),
        }),
      );
      expect(reply.status, `${operation}: ${reply.text}`).toBeLessThan(400);
    }
    saw(
      "aid_auths_oauth_authorize_post",
      await authorize(tenant, { verification_code: await mintCode(tenant), response_mode: "json" }),
    );
  });

  it("answers 429 where it says so", async () => {
    const settings = { numeric_guess_limit: 1 };
    const own = await createTenant(latchkey, { client: { code_format: "numeric" }, settings });
    const guess = (verification_code: string) =>
      authorize(own, { verification_code, ident_type: "email", ident: own.user.email });
    await askForCode(own);
    await guess("000000");
    saw("aid_auths_oauth_authorize_post", await guess("000001"));
    const hasty = await createTenant(latchkey, { settings: { client_sends_per_minute: 1 } });
    await askForCode(hasty);
    saw("aid_auth_account_passwordless_post", await askForCode(hasty, { email: "two@example.com" }));
    const json = { client_id: own.client.client_id, audience: own.audience, user_id: own.user.id };
    const mint = () => call(`${own.base}/auth/passwordless/code`, { method: "POST", token: own.token, json });
    for (let n = 0; n < 6; n++) saw("aid_auth_passwordless_post", await mint());
    await customersTooOften(latchkey, saw);
  });

  it("answers 429 where passwords, second factors and sign-up codes are guessed", async () => {
    const own = await createTenant(latchkey, {
      ...{ account_id: newOwnerId(), settings: { factor_guess_limit: 1, signup: true } },
    });
    const send = (operation: string, path: string, body: object) =>
      call(`${own.base}${path}`, { method: "POST", token: own.token, json: body }).then((reply) =>
        saw(operation, reply),
      );
    const many = async (operation: string, path: string, body: object, times: number) => {
      for (let n = 0; n < times; n++) await send(operation, path, body);
      expect((await send(operation, path, body)).status, operation).toBe(429);
    };
    const { audience } = own;
    const person = { audience, type: "customer" };
    const ident = { ident_type: "email", ident: own.user.email };
    const guess = { grant_type: "password", username: own.user.email, password: "wrong", audience };
    await many("aid_auths_oauth_token_post", "/auth/token", guess, 1);
    await many("aid_customers_login_post", "/customers/login", { ...person, ...ident, password: "wrong" }, 0);
    await many("aid_customers_mfa_login_post", "/customers/mfa_login", { ...person, ...ident, secret: "wrong" }, 0);
    const { email } = await addPerson(latchkey, own.account_id, { factors: ["email"] });
    const pending = await token(own, { grant_type: "password", username: email, password: PASSWORD, audience });
    const { mfa_token } = pending.body;
    const challenge = { challenge_type: "oob", mfa_token };
    await send("aid_auth_mfa_challenge_post", "/auth/mfa/challenge", { ...challenge, oob_channel: "sms" });
    await many("aid_auth_mfa_challenge_post", "/auth/mfa/challenge", { ...challenge, oob_channel: "email" }, 5);
    const recovery = { challenge_type: "oob", username: "nobody", audience };
    await many("aid_auth_mfa_recovery_post", "/auth/mfa/recovery", recovery, 20);
    const lost = { ...person, ident_type: "email", ident: "lost@example.com" };
    await many("aid_customers_mfa_login_initiate_recovery_post", "/customers/mfa_login_recovery", lost, 20);
    const contact = `/customers/users/${own.user.id}/communication/send-verification-code/email`;
    await many("aid_customers_cid_verify_post", contact, {}, 5);
    await many("accounts_oid_signup_post", "/signup", { email: "new@example.com" }, 5);
    const verify = "/signup/verify?verification_code=7KQM4-X2PVD";
    await many("accounts_oid_signup_verify_post", verify, {}, 100);
    const hasty = await createTenant(latchkey, { settings: { client_sends_per_minute: 1 } });
    await askForCode(hasty);
    const reset = { audience, type: "customer", email: hasty.user.email };
    saw(
      "aid_customers_change_password",
      await call(`${hasty.base}/customers/change_password`, { method: "POST", token: hasty.token, json: reset }),
    );
  });

  it("answers a person, a partner, an applicant and an upstream login as declared", async () => {
    const json = { redirect_uri: CALLBACK };
    const accept = { accept: "application/json" };
    const person = await personToken(tenant);
    const redirect = `${tenant.base}/auth/redirect`;
    saw(
      "aid_auths_oauth_redirect_post",
      await call(redirect, { method: "POST", token: person, headers: accept, json }),
    );
    const owner = await createTenant(latchkey, { account_id: "T55500000", settings: { signup: true } });
    await createTenant(latchkey, { account_id: "T55500001" });
    const exchange = { method: "POST", token: owner.token, json: { account_id: "T55500001" } };
    const base = `${latchkey.url}/v1/accounts/T55500000`;
    saw("aid_auths_oauth_exchange_token_post", await call(`${base}/auth/exchange_token`, exchange));
    const applicant = "applicant@example.com";
    const begun = await call(`${base}/signup`, { ...exchange, json: { applicant: { email: applicant } } });
    saw("accounts_oid_signup_post", begun);
    const [mail] = await inbox(owner, applicant);
    const query = { verification_code: mail?.verification_code ?? "" };
    const verified = await call(`${base}/signup/verify`, { method: "POST", token: owner.token, query });
    expect(saw("accounts_oid_signup_verify_post", verified).status).toBe(202);
    const upstream = await openUpstream({ ada: {} });
    const client = await addClient(latchkey, tenant.account_id, { signup: true });
    const { client_id, client_secret, issuer: authority } = upstream;
    const { audience } = tenant;
    const grant = { client_id: client.id, audience, scope: [], type: "authorization_code" };
    await call(`${tenant.base}/auth/client-grants`, {
      ...{ method: "POST", token: tenant.token },
      json: { ...grant, oidc: { client_id, client_secret, authority } },
    });
    const code = await upstream.logIn("ada");
    const login = { grant_type: "authorization_code", client_id: client.id, audience, redirect_uri: CALLBACK, code };
    const oidc = await call(`${tenant.base}/auth/oidc/token`, { method: "POST", token: tenant.token, json: login });
    expect(saw("aid_auths_oidc_token_post", oidc).status, oidc.text).toBe(200);
    await upstream.close();
  });

  it("answers an account user at /v1/account/user as declared", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 1 } });
    const me = await logInAccountUser(latchkey, own);
    const send = (operation: string, method: string, path: string, token: string | undefined, body?: object) =>
      call(`${latchkey.url}/v1/account/user${path}`, {
        method,
        ...(token ? { token } : {}),
        ...(body ? { json: body } : {}),
      }).then((reply) => saw(operation, reply));
    for (const { operation, method, path, options } of OWN_ATTEMPTS) {
      const body = options?.(invented).json as object | undefined;
      const below = path(invented).slice("/v1/account/user".length);
      expect((await send(operation, method, below, undefined, body)).status, operation).toBe(401);
      expect((await send(operation, method, below, own.token, body)).status, operation).toBe(403);
    }
    const [password, sms, totp] = [
      "account_user_password_put",
      "account_user_mfa_sms_put",
      "account_user_mfa_totp_put",
    ];
    expect((await send("account_user_get", "GET", "", me.token)).status).toBe(200);
    expect((await send("account_user_get", "GET", "?x=%zz", me.token)).status).toBe(400);
    expect((await send(sms, "PUT", "/mfa/sms", me.token, { enabled: true })).status).toBe(400);
    expect(await send(sms, "PUT", "/mfa/sms", me.token, { enabled: false })).toMatchObject({ status: 201, text: "" });
    const associated = await send("account_user_mfa_totp_post", "POST", "/mfa/totp", me.token);
    expect((await send(totp, "PUT", "/mfa/totp", me.token, { otp: "000000" })).status).toBe(400);
    const otp = oneTimePassword(associated.body.secret);
    expect(await send(totp, "PUT", "/mfa/totp", me.token, { otp })).toMatchObject({ status: 201, text: "" });
    const other = await logInAccountUser(latchkey, own);
    const first = await send(password, "POST", "/password", other.token, { proposed_password: PASSWORD });
    expect(first).toMatchObject({ status: 201, text: "" });
    const wrong = { previous_password: "wrong", proposed_password: PASSWORD };
    expect((await send(password, "POST", "/password", other.token, wrong)).status).toBe(400);
    expect((await send(password, "POST", "/password", other.token, wrong)).status).toBe(429);
    const third = await logInAccountUser(latchkey, own);
    const again = await send("account_user_mfa_totp_post", "POST", "/mfa/totp", third.token);
    await send(totp, "PUT", "/mfa/totp", third.token, { otp: oneTimePassword(again.body.secret) });
    const asked = await logInByMail(own, third.client, third.email);
    const finished = { mfa_token: asked.body.mfa_token, otp: oneTimePassword(again.body.secret, 1) };
    const fresh = await token(own, { grant_type: "mfa_oob", ...finished });
    expect((await send("account_user_mfa_totp_post", "POST", "/mfa/totp", fresh.body.access_token)).status).toBe(400);
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
  });

  it("answers browsers and standard clients as it declares", () => standardOperations(latchkey, tenant, saw));

  it("answers metadata and machines as it declares", async () => {
    const nowhere = `${latchkey.url}/v1/accounts/T99999999`;
    const json = { grant_type: "client_credentials", audience: tenant.issuer };
    saw("aid_auths_oauth_token_post", await call(`${nowhere}/auth/token`, { method: "POST", json }));
    for (const [operation, path] of [
      ["openid_configuration_get", "/.well-known/openid-configuration"],
      ["oauth_authorization_server_get", "/.well-known/oauth-authorization-server"],
      ["oauth_jwks_get", "/oauth/jwks.json"],
    ] as const) {
      expect(saw(operation, await call(`${tenant.base}${path}`)).status).toBe(200);
      expect(saw(operation, await call(`${nowhere}${path}`)).status).toBe(404);
      expect(saw(operation, await call(`${latchkey.url}/v1/accounts/X1${path}`)).status).toBe(400);
    }
    for (const [oid, status] of [
      [tenant.account_id, 200],
      ["T99999999", 404],
      ["X1", 400],
    ] as const)
      for (const [operation, name, below] of [
        ["well_known_oauth_authorization_server_get", "oauth-authorization-server", ""],
        ["oauth_protected_resource_get", "oauth-protected-resource", ""],
        ["oauth_userinfo_resource_get", "oauth-protected-resource", "/oauth/userinfo"],
      ] as const) {
        const place = `${latchkey.url}/.well-known/${name}/v1/accounts/${oid}${below}`;
        expect(saw(operation, await call(place)).status).toBe(status);
      }
    expect(saw("healthz_get", await call(`${latchkey.url}/healthz`)).status).toBe(200);
    expect(saw("readyz_get", await call(`${latchkey.url}/readyz`)).status).toBe(200);
    expect((await call(`${latchkey.url}/metrics`)).text).toContain("latchkey_http_request_duration_seconds_bucket");
    saw("metrics_get", await call(`${latchkey.url}/metrics`));
    const proxied = { headers: { "x-forwarded-for": "203.0.113.7" } };
    expect(saw("metrics_get", await call(`${latchkey.url}/metrics`, proxied)).status).toBe(404);
    const passed_on = await new Promise((resolve, reject) =>
      get(`${latchkey.url}/metrics`, { headers: { host: "login.example" } }, (answer) =>
        resolve(answer.resume().statusCode),
      ).on("error", reject),
    );
    expect(passed_on, "by another name than this machine's own").toBe(404);
  });

  it("has produced every success and 4xx that is declared", () => {
    const declared = [...operations.values()].flatMap(({ operationId, responses }) =>
      Object.keys(responses)
        .filter((status) => Number(status) < 500)
        .map((status) => `${operationId} ${status}`),
    );
    expect(declared.filter((status) => !seen.has(status))).toEqual([]);
  });
});
