/** Every status that the operations of the standard surface declare, produced one by one. */
import { expect } from "vitest";
import {
  addClient,
  authorize,
  basic,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  type Reply,
  type Tenant,
} from "./latchkey.ts";
import { openSurfer } from "./surfer.ts";
import { useUpSource } from "./used-up.ts";

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

/** `saw` notes a reply, and holds it against what its operation declares. */
export async function standardOperations(
  latchkey: Latchkey,
  tenant: Tenant,
  saw: (operation: string, reply: Reply) => Reply,
): Promise<void> {
  const headers = { authorization: basic(tenant.client) };
  const about = {
    client_id: tenant.client.client_id,
    redirect_uri: CALLBACK,
    response_type: "code",
    scope: "openid",
  };
  const nobody = `${latchkey.url}/v1/accounts/T99999999`;
  for (const [operation, send] of [
    [
      "oauth_authorize_get",
      (base: string, query: Record<string, string>) => call(`${base}/oauth/authorize`, { query }),
    ],
    [
      "oauth_authorize_post",
      (base: string, form: Record<string, string>) => call(`${base}/oauth/authorize`, { method: "POST", form }),
    ],
  ] as const) {
    expect(saw(operation, await send(tenant.base, about)).status).toBe(303);
    const silent = { ...about, response_type: "token", response_mode: "form_post" };
    expect(saw(operation, await send(tenant.base, silent)).status).toBe(200);
    expect(saw(operation, await send(tenant.base, { ...about, redirect_uri: "https://evil.example/" })).status).toBe(
      400,
    );
    expect(saw(operation, await send(tenant.base, { ...about, client_id: "nobody" })).status).toBe(400);
    expect(saw(operation, await send(nobody, about)).status).toBe(404);
  }
  const par = (form: Record<string, string>, own: Record<string, string> = headers) =>
    call(`${tenant.base}/oauth/par`, { method: "POST", headers: own, form }).then(
      (reply) => saw("oauth_par_post", reply).status,
    );
  expect(await par(about)).toBe(201);
  expect(await par({ ...about, response_type: "token" })).toBe(400);
  expect(await par(about, {})).toBe(401);
  for (const more of [{ request: "x" }, { scope: "orders:read" }, { resource: "https://nobody.example" }])
    expect(await par({ ...about, ...more }), JSON.stringify(more)).toBe(400);
  expect(saw("oauth_par_post", await call(`${nobody}/oauth/par`, { method: "POST", form: about })).status).toBe(404);
  for (const operation of ["oauth_introspect_post", "oauth_revoke_post"]) {
    const path = `${tenant.base}/oauth/${operation.split("_")[1]}`;
    const post = (form: Record<string, string>, own: Record<string, string> = headers) =>
      call(path, { method: "POST", headers: own, form }).then((reply) => saw(operation, reply).status);
    expect(await post({ token: "x" })).toBe(200);
    expect(await post({})).toBe(400);
    expect(await post({ token: "x" }, {})).toBe(401);
  }
  const authorized = await authorize(tenant, { verification_code: await mintCode(tenant), response_type: "token" });
  const fragment = new URLSearchParams(new URL(authorized.headers.get("location") ?? "").hash.slice(1));
  const surfer = openSurfer(latchkey);
  const shown = await surfer.logIn(`${tenant.base}/oauth/authorize?${new URLSearchParams(about)}`, tenant);
  const code = new URL(shown.url).searchParams.get("code") ?? "";
  const form = { grant_type: "authorization_code", code, redirect_uri: CALLBACK };
  const tokens = (await call(`${tenant.base}/oauth/token`, { method: "POST", headers, form })).body;
  for (const method of ["GET", "POST"]) {
    const operation = `oauth_userinfo_${method.toLowerCase()}`;
    const ask = (base: string, token?: string) =>
      call(`${base}/oauth/userinfo`, { method, ...(token ? { token } : {}) }).then(
        (reply) => saw(operation, reply).status,
      );
    expect(await ask(tenant.base, tokens.access_token)).toBe(200);
    expect(await ask(`${latchkey.url}/v1/accounts/X1`, tokens.access_token)).toBe(400);
    expect(await ask(tenant.base)).toBe(401);
    expect(await ask(tenant.base, fragment.get("access_token") ?? "")).toBe(403);
  }

  await foreignPages(latchkey, saw);
  await deviceOperations(latchkey, saw);
  await registrationOperations(latchkey, tenant, saw);
  await documentOperations(latchkey, saw);
}

/** A page that a client does not list is told so wherever it shows what that client holds. */
async function foreignPages(latchkey: Latchkey, saw: (name: string, reply: Reply) => Reply) {
  const client = { allowed_origins: ["https://app.shop.example"] };
  const { base, token, client: own } = await createTenant(latchkey, { client });
  const origin = "https://foreign.example";
  const headers = { authorization: basic(own), origin };
  for (const [operation, path, form] of [
    ["oauth_token_post", "token", { grant_type: "client_credentials" }],
    ["oauth_par_post", "par", { response_type: "code" }],
    ["oauth_device_authorization_post", "device_authorization", {}],
    ["oauth_introspect_post", "introspect", { token: "x" }],
    ["oauth_revoke_post", "revoke", { token: "x" }],
  ] as const) {
    const { status, body } = saw(operation, await call(`${base}/oauth/${path}`, { method: "POST", headers, form }));
    expect([status, body.error], operation).toEqual([400, "unauthorized_client"]);
  }
  for (const method of ["GET", "POST"]) {
    const { status, body } = saw(
      `oauth_userinfo_${method.toLowerCase()}`,
      await call(`${base}/oauth/userinfo`, { method, token, headers: { origin } }),
    );
    expect([status, body.error], method).toEqual([400, "unauthorized_client"]);
  }
  const json = { redirect_uris: [CALLBACK] };
  const registering = await call(`${base}/oauth/register`, { method: "POST", token, headers: { origin }, json });
  expect(saw("oauth_register_post", registering).body.error).toBe("unauthorized_client");
}

async function deviceOperations(latchkey: Latchkey, saw: (name: string, reply: Reply) => Reply) {
  const tenant = await createTenant(latchkey);
  const own = await addClient(latchkey, tenant.account_id, { grant_types: [DEVICE] });
  const ask = async (form: Record<string, string>, headers: Record<string, string> = { authorization: basic(own) }) =>
    saw(
      "oauth_device_authorization_post",
      await call(`${tenant.base}/oauth/device_authorization`, { method: "POST", headers, form }),
    ).status;
  expect(await ask({ scope: "openid" })).toBe(200);
  expect(await ask({ scope: "openid", resource: "https://nobody.example" })).toBe(400);
  expect(await ask({ scope: "openid" }, {})).toBe(401);
  const open = await addClient(latchkey, tenant.account_id, {
    grant_types: [DEVICE],
    token_endpoint_auth_method: "none",
  });
  await useUpSource(latchkey, tenant, "request_source", "127.0.0.1");
  expect(await ask({ scope: "openid", client_id: open.client_id }, {})).toBe(429);
}

/** Who makes clients known by their documents too often is told so by every door that knows such clients. */
async function documentOperations(latchkey: Latchkey, saw: (name: string, reply: Reply) => Reply) {
  const settings = { client_id_metadata_documents: true };
  const { base } = await createTenant(latchkey, { settings });
  const about = (n: number) => ({ client_id: `http://127.0.0.1:1/${n}.json`, response_type: "code" });
  for (let n = 0; n < 10; n++) await call(`${base}/oauth/authorize`, { query: about(n) });
  const form = about(10);
  for (const [operation, path, options] of [
    ["oauth_authorize_get", "authorize", { query: form }],
    ["oauth_authorize_post", "authorize", { method: "POST", form }],
    ["oauth_par_post", "par", { method: "POST", form }],
  ] as const)
    expect(saw(operation, await call(`${base}/oauth/${path}`, options)).status, operation).toBe(429);
}

async function registrationOperations(latchkey: Latchkey, tenant: Tenant, saw: (name: string, reply: Reply) => Reply) {
  const json = { redirect_uris: [CALLBACK] };
  const url = `${tenant.base}/oauth/register`;
  const register = async (options: Parameters<typeof call>[1], at = url) =>
    saw("oauth_register_post", await call(at, { method: "POST", ...options }));
  const made = await register({ json, token: tenant.token });
  expect(made.status).toBe(201);
  expect((await register({ json: {}, token: tenant.token })).status).toBe(400);
  expect((await register({ json })).status).toBe(401);
  const nowhere = `${latchkey.url}/v1/accounts/T99999999/oauth/register`;
  expect((await register({ json }, nowhere)).status).toBe(404);
  const weak = await createTenant(latchkey, { scope: ["read:nothing"] });
  expect((await register({ json, token: weak.token }, `${weak.base}/oauth/register`)).status).toBe(403);
  const open = await createTenant(latchkey, { settings: { open_registration: true } });
  for (let n = 0; n < 11; n++) await register({ json }, `${open.base}/oauth/register`);
  const { client_id, registration_access_token: token } = made.body;
  const manage = async (method: string, bearer: string | undefined, base = tenant.base) =>
    saw(
      `oauth_register_client_${method.toLowerCase()}`,
      await call(`${base}/oauth/register/${client_id}`, {
        method,
        ...(bearer === undefined ? {} : { token: bearer }),
        ...(method === "PUT" ? { json } : {}),
      }),
    ).status;
  for (const method of ["GET", "PUT", "DELETE"]) {
    expect(await manage(method, undefined)).toBe(401);
    expect(await manage(method, token, `${latchkey.url}/v1/accounts/X1`)).toBe(400);
    expect(await manage(method, token)).toBe(method === "DELETE" ? 204 : 200);
    if (method !== "PUT") continue;
    for (let n = 1; n < 20; n++) await manage(method, token);
    expect(await manage(method, token)).toBe(429);
  }
}
