/**
 * Every operation of the standards, every page and auth/token, as requests: by whom (`own`: a client, tokens, a
 * browser) and about what (`other`: codes, tokens, sessions, requests). Either may be another account's, or made up.
 */
import { basic, CALLBACK, type CallOptions, call, type Reply, type Tenant, type TestClient } from "./latchkey.ts";
import type { Ids } from "./operations.ts";
import { PASSWORD } from "./people.ts";

export interface Belongings {
  readonly ids: Ids;
  readonly client: TestClient;
  /** Tokens for the account API: a client's, and an account user's. */
  readonly token: string;
  readonly staff_token: string;
  /** They finish the login of `ids.mfa_token`. */
  readonly oob_code: string;
  readonly binding_code: string;
  readonly code: string;
  readonly access_token: string;
  readonly refresh_token: string;
  readonly id_token: string;
  readonly device_code: string;
  readonly user_code: string;
  readonly request_uri: string;
  /** A browser where somebody is logged in, who agreed to the client, and an account user; with a login that it has begun. */
  readonly cookie: string;
  readonly session: string;
  readonly request: string;
  /** The client's grant that names another provider. */
  readonly provider: string;
  readonly registered: string;
  readonly registration_token: string;
}

export interface Asked extends CallOptions {
  /** The cookie of the account that is asked. */
  readonly browser?: string;
}

export interface StandardAttempt {
  /** Its operationId; of a page the method and path. */
  readonly operation: string;
  readonly what: string;
  readonly path: (other: Belongings) => string;
  readonly options: (own: Belongings, other: Belongings) => Asked;
  /** Names nothing that could be another account's. */
  readonly idless?: true;
  /** Answers anybody alike. */
  readonly uniform?: true;
  /** The account counts how often it is tried. */
  readonly counted?: true;
}

const AUDIENCE = "https://api.shop.example";
export const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
export const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

type Fields = Readonly<Record<string, string>>;
type More = Pick<StandardAttempt, "idless" | "uniform" | "counted">;

/** By a client, with its secret. */
const post = (name: string, what: string, form: (other: Belongings) => Fields, more: More = {}): StandardAttempt => ({
  ...{ operation: `oauth_${name}_post`, what, path: () => `/oauth/${name}`, ...more },
  options: ({ client }, other) => ({ method: "POST", headers: { authorization: basic(client) }, form: form(other) }),
});

const asked = (client: TestClient): Fields => ({
  ...{ client_id: client.client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" },
});

/** In a browser. */
const page = (
  operation: string,
  what: string,
  fields: (own: Belongings, other: Belongings) => Asked = () => ({}),
  more: More = {},
): StandardAttempt => {
  const [method = "", path = ""] = operation.split(" ");
  const options = (own: Belongings, other: Belongings) => ({ method, browser: own.cookie, ...fields(own, other) });
  return { operation, what, path: () => path, options, ...more };
};

const authorize = (method: string, what: string, fields: (own: Belongings, other: Belongings) => Fields) => ({
  ...page(`${method} /oauth/authorize`, what, (own, other) => ({
    [method === "GET" ? "query" : "form"]: fields(own, other),
  })),
  operation: `oauth_authorize_${method.toLowerCase()}`,
});

const userinfo = (method: string): StandardAttempt => ({
  ...{ operation: `oauth_userinfo_${method.toLowerCase()}`, what: "a person's token", path: () => "/oauth/userinfo" },
  ...{ options: ({ access_token }) => ({ method, token: access_token }), idless: true },
});

const registration = (method: string): StandardAttempt => ({
  operation: `oauth_register_client_${method.toLowerCase()}`,
  what: "a client that registered itself",
  path: ({ registered }) => `/oauth/register/${registered}`,
  options: ({ registration_token: token }) => ({
    ...{ method, token, ...(method === "PUT" ? { json: { redirect_uris: [CALLBACK] } } : {}) },
  }),
});

/** auth/token of the account API, which takes more than bearers. */
const login = (what: string, fields: (other: Belongings) => object, more: More = {}): StandardAttempt => ({
  ...{ operation: "aid_auths_oauth_token_post", what, path: () => "/auth/token", ...more },
  options: ({ token }, other) => ({ method: "POST", token, json: { audience: AUDIENCE, ...fields(other) } }),
});

/** In an order in which each of them works with what is right, and takes nothing from those after it. */
export const STANDARD_ATTEMPTS: readonly StandardAttempt[] = [
  post("introspect", "an access token", ({ access_token: token }) => ({ token })),
  post("introspect", "a refresh token", ({ refresh_token: token }) => ({ token })),
  userinfo("GET"),
  userinfo("POST"),
  {
    ...{ operation: "oauth_register_post", what: "a client's token", path: () => "/oauth/register", idless: true },
    options: ({ token }) => ({ method: "POST", token, json: { redirect_uris: [CALLBACK] } }),
  },
  registration("GET"),
  registration("PUT"),
  authorize("GET", "a pushed request", ({ client }, { request_uri }) => ({ client_id: client.client_id, request_uri })),
  authorize("GET", "a client", (_own, { client }) => ({ ...asked(client), prompt: "none" })),
  authorize("GET", "an ID token", ({ client }, { id_token: id_token_hint }) => ({
    ...{ ...asked(client), id_token_hint, prompt: "none" },
  })),
  authorize("POST", "an ID token", ({ client }, { id_token: id_token_hint }) => ({ ...asked(client), id_token_hint })),
  post("par", "an ID token", ({ id_token: id_token_hint }) => ({
    ...{ redirect_uri: CALLBACK, response_type: "code", scope: "openid", id_token_hint },
  })),
  post("device_authorization", "a client's secret", () => ({ scope: "openid" }), { idless: true }),
  post("token", "a client's secret", () => ({ grant_type: "client_credentials", audience: AUDIENCE }), {
    idless: true,
  }),
  post("token", "a token to exchange", ({ access_token: subject_token }) => ({
    ...{ grant_type: EXCHANGE, subject_token, subject_token_type: ACCESS_TOKEN, audience: AUDIENCE },
  })),
  post("token", "a code", ({ code }) => ({ grant_type: "authorization_code", code, redirect_uri: CALLBACK })),
  post("token", "a device code", ({ device_code }) => ({ grant_type: DEVICE, device_code })),
  post("token", "a refresh token", ({ refresh_token }) => ({ grant_type: "refresh_token", refresh_token })),
  {
    ...{ operation: "aid_auths_oauth_token_post", what: "a client's secret", path: () => "/auth/token", idless: true },
    options: ({ client }) => ({
      ...{ method: "POST", headers: { authorization: basic(client) } },
      json: { grant_type: "client_credentials", audience: AUDIENCE },
    }),
  },
  login("a refresh token", ({ ids: { refresh_token } }) => ({ grant_type: "refresh_token", refresh_token })),
  login("a second factor", ({ ids: { mfa_token }, oob_code, binding_code }) => ({
    ...{ grant_type: "mfa_oob", mfa_token, oob_code, binding_code },
  })),
  login("a verification code", ({ ids: { code: verification_code, email: ident } }) => ({
    ...{ grant_type: "authorization_code", verification_code, ident_type: "email", ident },
  })),
  login("a password", ({ ids: { email: username } }) => ({ grant_type: "password", username, password: PASSWORD })),
  {
    ...{ operation: "aid_auths_oauth_token_post", what: "an account user's token", path: () => "/auth/token" },
    options: ({ staff_token: token }) => ({ method: "POST", token, json: { grant_type: "account_user" } }),
    idless: true,
  },
  page("GET /login", "a login that was begun", (_own, { request }) => ({ query: { request } })),
  page("GET /login/upstream", "a login that was begun", (_own, { request, provider }) => ({
    query: { request, with: provider },
  })),
  page("GET /login/upstream", "a provider", ({ request }, { provider }) => ({ query: { request, with: provider } })),
  {
    ...page("GET /login/upstream/callback/:", "a login that was begun", (_own, { request, provider }) => ({
      query: { state: `${request}.${provider}.x`, code: "x" },
    })),
    path: () => "/login/upstream/callback/x",
  },
  page("POST /login", "a login that was begun", (_own, { request }) => ({
    ...{ query: { request }, form: { action: "cancel" } },
  })),
  page("GET /login/consents", "a browser", undefined, { idless: true }),
  page("GET /sandbox", "a browser", undefined, { idless: true }),
  page("POST /device", "a device", ({ user_code }) => ({ form: { user_code } }), { idless: true, counted: true }),
  page("POST /login/consents", "a session", (_own, { session, client }) => ({ form: { session, client: client.id } })),
  page("POST /login/consents", "a client", ({ session }, { client }) => ({ form: { session, client: client.id } })),
  page("POST /login/consents", "a browser", ({ session }, { session: browser }) => ({ form: { session, browser } })),
  page("POST /oauth/logout", "an ID token", (_own, { id_token: id_token_hint }) => ({
    form: { id_token_hint, confirm: "yes" },
  })),
  page("GET /oauth/logout", "an ID token", (_own, { id_token: id_token_hint }) => ({ query: { id_token_hint } })),
  post("revoke", "an access token", ({ access_token: token }) => ({ token }), { uniform: true }),
  post("revoke", "a refresh token", ({ refresh_token: token }) => ({ token }), { uniform: true }),
  registration("DELETE"),
];

/** They name an account at most, and serve anybody. */
export const OPEN: readonly string[] = [
  "GET /device",
  "POST /sandbox",
  "healthz_get",
  "metrics_get",
  "oauth_authorization_server_get",
  "oauth_jwks_get",
  "oauth_protected_resource_get",
  "oauth_userinfo_resource_get",
  "openid_configuration_get",
  "readyz_get",
  "well_known_oauth_authorization_server_get",
];

/** Sends it to one tenant: by whom, about what. */
export function attemptAt(
  at: Tenant,
  { path, options }: StandardAttempt,
  by: Belongings,
  about: Belongings,
): Promise<Reply> {
  const { browser, headers, ...rest } = options(by, about);
  const cookie = browser === undefined ? {} : { cookie: `lk_${at.account_id}=${browser}` };
  return call(`${at.base}${path(about)}`, { ...rest, headers: { ...headers, ...cookie } });
}
