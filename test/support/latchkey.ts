/**
 * A whole Latchkey in this process, on a port of its own and a database of its own, and what a test needs to be its client:
 * tenants with clients and users, made through the same verbs as the command line, and plain HTTP.
 */
import { randomBytes } from "node:crypto";
import { freePort } from "../../scripts/postgres.mjs";
import { type Config, type Environment, readConfig } from "../../src/config.ts";
import { changeSettings } from "../../src/directory/accounts/change-settings.ts";
import { createAccount } from "../../src/directory/accounts/create-account.ts";
import { lookUpAccount } from "../../src/directory/accounts/find-account.ts";
import type { AccountSettings } from "../../src/directory/accounts/settings.ts";
import { createClient } from "../../src/directory/clients/create-client.ts";
import type { ClientSettings } from "../../src/directory/clients/settings.ts";
import { createGrant } from "../../src/directory/grants/change-grants.ts";
import type { GrantType } from "../../src/directory/grants/grant.ts";
import { createUser } from "../../src/directory/users/create-user.ts";
import { reveal, secret } from "../../src/secrets/secret.ts";
import { type RunningServer, startServer } from "../../src/start-server.ts";
import type { Engine } from "../../src/storage/storage.ts";
import type { Logger } from "../../src/telemetry/log.ts";
import { createTestDatabase, type TestDatabase } from "./engines.ts";

export const actor = { id: "test", context: {} };
export const MASTER_KEY = Buffer.alloc(32, 7).toString("base64");
export const CALLBACK = "https://shop.example/callback";

export interface Latchkey {
  readonly url: string;
  readonly config: Config;
  readonly server: RunningServer;
  readonly database: TestDatabase;
  /** Stops this process's server; the database stays. */
  stop(): Promise<void>;
  /** Stops and drops. */
  close(): Promise<void>;
}

export interface LatchkeyOptions {
  readonly env?: Environment;
  readonly log?: Logger;
  readonly onQuery?: (sql: string) => void;
  readonly monotonic?: () => number;
  readonly port?: number;
  /** Another process's database. */
  readonly database?: TestDatabase;
  /** Another process's address, for several processes behind one name. */
  readonly public_url?: string;
}

export async function startLatchkey(engine: Engine, options: LatchkeyOptions = {}): Promise<Latchkey> {
  const database = options.database ?? (await createTestDatabase(engine));
  const port = options.port ?? (await freePort());
  const config = readConfig({
    DATABASE_URL: database.database_url,
    MASTER_KEY,
    PORT: String(port),
    DEMO: "0",
    LOG_LEVEL: "silent",
    ...(options.public_url ? { PUBLIC_URL: options.public_url } : {}),
    ...options.env,
  });
  const { log, onQuery, monotonic } = options;
  const server = await startServer(config, {
    ...(log ? { log } : {}),
    ...(onQuery ? { onQuery } : {}),
    ...(monotonic ? { monotonic } : {}),
  });
  return {
    url: `http://127.0.0.1:${port}`,
    config,
    server,
    database,
    stop: server.stop,
    close: async () => {
      await server.stop();
      await database.drop();
    },
  };
}

let accounts = 0;

/** A fresh account id of this test file. */
export function newAccountId(letter: "P" | "T" = "T"): string {
  accounts += 1;
  return `${letter}${String(10_000_000 + accounts)}`;
}

let owners = 0;

/** An account that others stand under. */
export function newOwnerId(): string {
  owners += 1;
  return `T${600 + owners}00000`;
}

export interface Tenant {
  readonly account_id: string;
  readonly base: string;
  readonly issuer: string;
  /** Audience of the shop's own API, which the client holds a grant for. */
  readonly audience: string;
  readonly client: TestClient;
  readonly user: { readonly id: string; readonly email: string; readonly phone_number: string };
  /** Bearer of the client, for the account API. */
  readonly token: string;
}

export interface TestClient {
  readonly id: string;
  readonly client_id: string;
  readonly client_secret: string;
}

export interface TenantOptions {
  readonly account_id?: string;
  readonly scope?: readonly string[];
  readonly client?: Partial<ClientSettings>;
  readonly settings?: Partial<AccountSettings>;
}

let people = 0;

/** An account with a client, its grants and one user. */
export async function createTenant(latchkey: Latchkey, options: TenantOptions = {}): Promise<Tenant> {
  const { directory } = latchkey.server.core;
  const account_id = options.account_id ?? newAccountId();
  if (!(await lookUpAccount(directory, account_id))) {
    await createAccount(directory, { account_id, name: "Shop", settings: options.settings ?? {} }, actor);
  } else if (options.settings) await changeSettings(directory, account_id, options.settings, actor);
  const base = `${latchkey.url}/v1/accounts/${account_id}`;
  const issuer = `${latchkey.config.public_url}/v1/accounts/${account_id}`;
  const audience = "https://api.shop.example";
  const client = await addClient(latchkey, account_id, options.client ?? {});
  await addGrant(
    latchkey,
    account_id,
    client,
    issuer,
    options.scope ?? ["admin:accounts", "admin:customers", "create:accounts:auth:refresh_token"],
  );
  await addGrant(latchkey, account_id, client, audience, ["orders:read", "orders:write"]);
  const user = await addUser(latchkey, account_id);
  return { account_id, base, issuer, audience, client, user, token: await tokenOf(latchkey, account_id, client) };
}

export async function addClient(
  latchkey: Latchkey,
  account_id: string,
  settings: Partial<ClientSettings> = {},
  client_id?: string,
  secret_of_theirs?: string,
): Promise<TestClient> {
  const { directory } = latchkey.server.core;
  const all = { callbacks: [CALLBACK], response_types: ["authenticate", "token", "code"] as const, ...settings };
  const input = {
    name: "The Shop",
    settings: { ...all, response_types: [...all.response_types] },
    ...(client_id ? { client_id } : {}),
    ...(secret_of_theirs ? { client_secret: secret(secret_of_theirs) } : {}),
  };
  const created = await createClient(directory, account_id, input, actor);
  const client_secret = created.client_secret === null ? "" : reveal(created.client_secret);
  return { id: created.client.id, client_id: created.client.client_id, client_secret };
}

export async function addGrant(
  latchkey: Latchkey,
  account_id: string,
  client: Pick<TestClient, "client_id">,
  audience: string,
  scope: readonly string[],
  type: GrantType = "any",
): Promise<string> {
  const { directory } = latchkey.server.core;
  const { findClient } = await import("../../src/directory/clients/find-client.ts");
  const found = await findClient(directory, account_id, client.client_id);
  return (await createGrant(directory, { client: found, audience, scope, type }, actor)).id;
}

export async function addUser(
  latchkey: Latchkey,
  account_id: string,
  fields: {
    email?: string;
    phone_number?: string;
    type?: "customer" | "company" | "account_user";
    locale?: string;
  } = {},
) {
  const { directory } = latchkey.server.core;
  const { findAccount } = await import("../../src/directory/accounts/find-account.ts");
  people += 1;
  const email = fields.email ?? `person-${people}-${randomBytes(3).toString("hex")}@example.com`;
  const phone_number = fields.phone_number ?? `+4740${String(100_000 + people)}`;
  const account = await findAccount(directory, account_id);
  const input = { type: "customer" as const, name: "Ada Example", verified: true, ...fields, email, phone_number };
  const { id } = await createUser(directory, account, input, actor);
  return { id, email, phone_number };
}

export async function tokenOf(latchkey: Latchkey, account_id: string, client: TestClient): Promise<string> {
  const base = `${latchkey.url}/v1/accounts/${account_id}`;
  const audience = `${latchkey.config.public_url}/v1/accounts/${account_id}`;
  const reply = await call(`${base}/auth/token`, {
    method: "POST",
    headers: { authorization: basic(client) },
    json: { grant_type: "client_credentials", audience },
  });
  if (reply.status !== 200) throw new Error(`no token: ${reply.text}`);
  return String(reply.body.access_token);
}

export function basic({ client_id, client_secret }: Pick<TestClient, "client_id" | "client_secret">): string {
  return `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString("base64")}`;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came back
  readonly body: any;
}

export interface CallOptions {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly form?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly raw?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

/** One request; redirects are not followed. */
export async function call(url: string, options: CallOptions = {}): Promise<Reply> {
  const { method = "GET", token, json, form, query, raw, signal } = options;
  const target = query ? `${url}?${new URLSearchParams(query)}` : url;
  const headers: Record<string, string> = { ...options.headers };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  let body: string | Uint8Array | URLSearchParams | undefined = raw;
  if (json !== undefined) {
    headers["content-type"] ??= "application/json";
    body = JSON.stringify(json);
  }
  if (form) body = new URLSearchParams(form);
  const response = await fetch(target, {
    method,
    headers,
    redirect: "manual",
    ...(body === undefined ? {} : { body }),
    ...(signal === undefined ? {} : { signal }),
  });
  const text = await response.text();
  let parsed: unknown;
  try {
    parsed = text === "" ? undefined : JSON.parse(text);
  } catch {
    parsed = undefined;
  }
  return { status: response.status, headers: response.headers, text, body: parsed };
}

export interface Asking {
  readonly connection?: string;
  readonly email?: string;
  readonly phone_number?: string;
  readonly type?: string;
  readonly login_session_id?: string;
  readonly client?: TestClient;
  readonly audience?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** POST auth/passwordless. */
export function askForCode(tenant: Tenant, asking: Asking = {}): Promise<Reply> {
  const { client = tenant.client, token = tenant.token, headers = {}, ...fields } = asking;
  const body = { connection: "email", audience: tenant.audience, client_id: client.client_id, ...fields };
  const named = "email" in fields || "phone_number" in fields ? {} : { email: tenant.user.email };
  return call(`${tenant.base}/auth/passwordless`, { method: "POST", token, headers, json: { ...named, ...body } });
}

/** What the sandbox shows for one recipient, newest first. */
export async function inbox(
  tenant: Tenant,
  to?: string,
): Promise<{ id: string; verification_code: string; subject: string; text: string; html: string; to: string }[]> {
  const query = to === undefined ? {} : { to };
  return (await call(`${tenant.base}/sandbox/messages`, { token: tenant.token, query })).body;
}

/** Asks, and reads the code in the sandbox. */
export async function receiveCode(tenant: Tenant, asking: Asking & { to?: string } = {}): Promise<string> {
  const { to, ...rest } = asking;
  const asked = await askForCode(tenant, rest);
  if (asked.status !== 204) throw new Error(`asking answered ${asked.status}: ${asked.text}`);
  const [newest] = await inbox(tenant, to ?? rest.email ?? rest.phone_number ?? tenant.user.email);
  if (!newest) throw new Error("no message");
  return newest.verification_code;
}

/** POST auth/passwordless/code for the tenant's user. */
export async function mintCode(tenant: Tenant, fields: Readonly<Record<string, string>> = {}): Promise<string> {
  const json = { audience: tenant.audience, client_id: tenant.client.client_id, user_id: tenant.user.id, ...fields };
  const reply = await call(`${tenant.base}/auth/passwordless/code`, { method: "POST", token: tenant.token, json });
  if (reply.status !== 200) throw new Error(`minting answered ${reply.status}: ${reply.text}`);
  return reply.body.verification_code;
}

/** POST auth/authorize with the seed's parameters; a field set to undefined is left out. */
export function authorize(
  tenant: Tenant,
  fields: Readonly<Record<string, string | undefined>>,
  options: CallOptions = {},
): Promise<Reply> {
  const all = {
    audience: tenant.audience,
    response_type: "authenticate",
    client_id: tenant.client.client_id,
    redirect_uri: CALLBACK,
    state: "af0ifjsldkj",
    ...fields,
  };
  const query = Object.fromEntries(
    Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
  return call(`${tenant.base}/auth/authorize`, { method: "POST", token: tenant.token, query, ...options });
}
