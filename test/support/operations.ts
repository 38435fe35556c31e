/** Every operation that takes a bearer, as requests that can be pointed at existing, foreign and invented things. */
import { randomUUID } from "node:crypto";
import { addGrant, type CallOptions, call, type Latchkey, mintCode, receiveCode, type Tenant } from "./latchkey.ts";

/** What an operation can be pointed at. */
export interface Ids {
  readonly client: string;
  readonly client_id: string;
  readonly grant: string;
  readonly user: string;
  readonly email: string;
  readonly phone_number: string;
  readonly code: string;
  readonly session: string;
  readonly audience: string;
  readonly role: string;
  readonly account_user: string;
}

export interface Attempt {
  readonly operation: string;
  readonly method: string;
  /** Below the account. */
  readonly path: (ids: Ids) => string;
  readonly options?: (ids: Ids) => CallOptions;
  /** Takes no id: there is nothing foreign to name. */
  readonly idless?: true;
  /** Its answer must not tell whether the id exists, but is a success. */
  readonly succeeds?: true;
}

const json = (body: object): CallOptions => ({ json: body });
const named = (ids: Ids) => ({ client_id: ids.client_id, audience: "https://api.shop.example" });

export const ATTEMPTS: readonly Attempt[] = [
  {
    operation: "aid_auths_oauth_authorize_post",
    method: "POST",
    path: () => "/auth/authorize",
    options: (ids) => ({ query: { ...named(ids), response_type: "authenticate", verification_code: ids.code } }),
  },
  {
    operation: "aid_auth_account_passwordless_post",
    method: "POST",
    path: () => "/auth/passwordless",
    options: (ids) => json({ ...named(ids), connection: "email", email: ids.email }),
  },
  {
    operation: "aid_auth_passwordless_post",
    method: "POST",
    path: () => "/auth/passwordless/code",
    options: (ids) => json({ ...named(ids), user_id: ids.user }),
  },
  { operation: "aid_auths_keys_get", method: "GET", path: () => "/auth/keys", idless: true },
  { operation: "auth_settings_get", method: "GET", path: () => "/auth/settings", idless: true },
  {
    operation: "auth_settings_patch",
    method: "PATCH",
    path: () => "/auth/settings",
    options: () => json({ locale: "nb" }),
    idless: true,
  },
  { operation: "aid_auth_clients_get", method: "GET", path: () => "/auth/clients", idless: true },
  {
    operation: "aid_auth_clients_post",
    method: "POST",
    path: () => "/auth/clients",
    options: () => json({ name: "x" }),
    idless: true,
  },
  { operation: "aid_auths_clients_id_get", method: "GET", path: (ids) => `/auth/clients/${ids.client}` },
  {
    operation: "auth_clients_id_patch",
    method: "PATCH",
    path: (ids) => `/auth/clients/${ids.client}`,
    options: () => json({ name: "mine now" }),
  },
  {
    operation: "aid_auths_clients_id_rotate_post",
    method: "POST",
    path: (ids) => `/auth/clients/${ids.client}/rotate-secret`,
  },
  {
    operation: "aid_auths_client_grants_get",
    method: "GET",
    path: () => "/auth/client-grants",
    options: (ids) => ({ query: { client_id: ids.client } }),
    succeeds: true,
  },
  {
    operation: "aid_auths_client_grants_post",
    method: "POST",
    path: () => "/auth/client-grants",
    options: (ids) => json({ client_id: ids.client, audience: "https://x.example", scope: [] }),
  },
  {
    operation: "aid_auths_client_grants_id_patch",
    method: "PATCH",
    path: (ids) => `/auth/client-grants/${ids.grant}`,
    options: () => json({ scope: [] }),
  },
  {
    operation: "aid_auths_client_grants_id_delete",
    method: "DELETE",
    path: (ids) => `/auth/client-grants/${ids.grant}`,
  },
  { operation: "aid_auths_clients_id_delete", method: "DELETE", path: (ids) => `/auth/clients/${ids.client}` },
  { operation: "aid_auths_roles_get", method: "GET", path: () => "/auth/roles", idless: true },
  {
    operation: "aid_auths_roles_post",
    method: "POST",
    path: () => "/auth/roles",
    options: () => json({ name: "x", scope: [] }),
    idless: true,
  },
  { operation: "aid_auths_roles_id_get", method: "GET", path: (ids) => `/auth/roles/${ids.role}` },
  {
    operation: "aid_auths_roles_id_put",
    method: "PUT",
    path: (ids) => `/auth/roles/${ids.role}`,
    options: () => json({ name: "mine now", scope: [] }),
  },
  { operation: "aid_auths_roles_id_delete", method: "DELETE", path: (ids) => `/auth/roles/${ids.role}` },
  { operation: "aid_accounts_aid_mgmnt_users_get", method: "GET", path: () => "/management/users", idless: true },
  {
    operation: "aid_accounts_aid_mgmnt_users_post",
    method: "POST",
    path: () => "/management/users",
    options: (ids) => json({ email: `${randomUUID()}@example.com`, roles: [{ id: ids.role }] }),
  },
  {
    operation: "aid_accounts_aid_mgmnt_users_put",
    method: "PUT",
    path: (ids) => `/management/users/${ids.account_user}`,
    options: () => json({ name: "mine now" }),
  },
  {
    operation: "aid_accounts_aid_mgmnt_users_activities_get",
    method: "GET",
    path: (ids) => `/management/users/${ids.account_user}/activities`,
  },
  {
    operation: "aid_accounts_aid_mgmnt_users_delete",
    method: "DELETE",
    path: (ids) => `/management/users/${ids.account_user}`,
  },
  {
    operation: "aid_customers_post",
    method: "POST",
    path: () => "/customers/users",
    options: () => json({ email: `${randomUUID()}@example.com` }),
    idless: true,
  },
  {
    operation: "aid_customers_head",
    method: "HEAD",
    path: () => "/customers/users",
    options: (ids) => ({ query: { email: ids.email } }),
  },
  { operation: "aid_customers_cid_get", method: "GET", path: (ids) => `/customers/users/${ids.user}` },
  { operation: "aid_customers_cid_delete", method: "DELETE", path: (ids) => `/customers/users/${ids.user}` },
  {
    operation: "sandbox_messages_get",
    method: "GET",
    path: () => "/sandbox/messages",
    options: (ids) => ({ query: { to: ids.email } }),
    succeeds: true,
  },
];

export const invented: Ids = {
  client: "01900000-0000-7000-8000-000000000000",
  client_id: "01900000-0000-7000-8000-000000000001",
  grant: "01900000-0000-7000-8000-000000000002",
  user: "01900000-0000-7000-8000-000000000003",
  email: "nobody@nowhere.example",
  phone_number: "+4799999999",
  code: "7KQM4-X2PVD",
  session: randomUUID(),
  audience: "https://nobody.example",
  role: "01900000-0000-7000-8000-000000000004",
  account_user: "01900000-0000-7000-8000-000000000005",
};

export async function idsOf(latchkey: Latchkey, tenant: Tenant): Promise<Ids> {
  const { client, user } = tenant;
  await receiveCode(tenant);
  const made = (path: string, body: object) =>
    call(`${tenant.base}${path}`, { method: "POST", token: tenant.token, json: body });
  const role = (await made("/auth/roles", { name: "support", scope: [] })).body.id;
  const account_user = (await made("/management/users", { email: `${randomUUID()}@example.com` })).body.id;
  return {
    role,
    account_user,
    client: client.id,
    client_id: client.id,
    grant: await addGrant(latchkey, tenant.account_id, client, "https://other.example", [], "authorization_code"),
    user: user.id,
    email: user.email,
    phone_number: user.phone_number,
    code: await mintCode(tenant),
    session: randomUUID(),
    audience: tenant.audience,
  };
}
