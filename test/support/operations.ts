/** Every operation that takes a bearer, as requests that can be pointed at existing, foreign and invented things. */
import { randomUUID } from "node:crypto";
import {
  addGrant,
  type CallOptions,
  call,
  inbox,
  type Latchkey,
  mintCode,
  receiveCode,
  type Tenant,
} from "./latchkey.ts";
import { addPerson, consent, PASSWORD, QUICK_HASH, setPassword, token } from "./people.ts";

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
  readonly mfa_email: string;
  readonly mfa_token: string;
  readonly refresh_token: string;
  readonly merchant: string;
  readonly username: string;
  readonly signup_code: string;
}

export interface Attempt {
  readonly operation: string;
  readonly method: string;
  /** Below the account. */
  readonly path: (ids: Ids) => string;
  readonly options?: (ids: Ids) => CallOptions;
  /** Takes no id: there is nothing foreign to name. */
  readonly idless?: true;
  /** Takes the token of a person. */
  readonly person?: true;
  /** Its success needs more than a tenant. */
  readonly special?: true;
  /** Answers anybody alike, with success; what it answers is sealed or empty. */
  readonly uniform?: true;
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
    operation: "aid_accounts_aid_mgmnt_users_mfa_delete",
    method: "DELETE",
    path: (ids) => `/management/users/${ids.account_user}/mfa/totp`,
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
  {
    operation: "aid_customers_cid_put",
    method: "PUT",
    path: (ids) => `/customers/users/${ids.user}`,
    options: () => json({ name: "mine now" }),
  },
  { operation: "aid_customers_cid_delete", method: "DELETE", path: (ids) => `/customers/users/${ids.user}` },
  {
    operation: "aid_customers_cid_verify_post",
    method: "POST",
    path: (ids) => `/customers/users/${ids.user}/communication/send-verification-code/email`,
  },
  { operation: "customers_consents_get", method: "GET", path: (ids) => `/customers/users/${ids.user}/consents` },
  {
    operation: "customers_consents_delete",
    method: "DELETE",
    path: (ids) => `/customers/users/${ids.user}/consents/${ids.client}`,
  },
  {
    operation: "aid_auth_mfa_challenge_post",
    method: "POST",
    path: () => "/auth/mfa/challenge",
    options: (ids) => json({ challenge_type: "oob", mfa_token: ids.mfa_token, oob_channel: "sms" }),
  },
  {
    operation: "aid_auth_mfa_recovery_post",
    method: "POST",
    path: () => "/auth/mfa/recovery",
    options: (ids) => json({ challenge_type: "oob", username: ids.email, audience: ids.audience }),
    uniform: true,
  },
  {
    operation: "aid_auths_oauth_revoke_post",
    method: "POST",
    path: () => "/auth/revoke",
    options: (ids) => json({ token: ids.refresh_token }),
    uniform: true,
  },
  {
    operation: "aid_auths_oauth_exchange_token_post",
    method: "POST",
    path: () => "/auth/exchange_token",
    options: (ids) => json({ account_id: ids.merchant }),
    special: true,
  },
  {
    operation: "aid_auths_oauth_redirect_post",
    method: "POST",
    path: () => "/auth/redirect",
    options: () => json({ redirect_uri: "https://shop.example/callback" }),
    person: true,
    idless: true,
  },
  {
    operation: "aid_auths_oidc_token_post",
    method: "POST",
    path: () => "/auth/oidc/token",
    options: (ids) => json({ ...named(ids), grant_type: "authorization_code", code: "x" }),
    special: true,
  },
  {
    operation: "aid_auth_users_post",
    method: "POST",
    path: () => "/auth/users",
    options: () => json({ username: randomUUID(), password: "correct horse" }),
    idless: true,
  },
  {
    operation: "aid_auth_users_username_put",
    method: "PUT",
    path: (ids) => `/auth/users/${ids.username}`,
    options: () => json({ password: "another horse" }),
  },
  {
    operation: "aid_auth_users_username_change_username_post",
    method: "POST",
    path: (ids) => `/auth/users/${ids.username}/change_username`,
    options: () => json({ username: randomUUID() }),
  },
  { operation: "aid_auth_users_username_delete", method: "DELETE", path: (ids) => `/auth/users/${ids.username}` },
  {
    operation: "aid_customers_login_post",
    method: "POST",
    path: () => "/customers/login",
    options: (ids) => json({ audience: ids.audience, type: "customer", email: ids.email, password: PASSWORD }),
  },
  {
    operation: "aid_customers_mfa_login_post",
    method: "POST",
    path: () => "/customers/mfa_login",
    options: (ids) =>
      json({ audience: ids.audience, type: "customer", ident_type: "email", ident: ids.mfa_email, secret: PASSWORD }),
  },
  {
    operation: "aid_customers_mfa_login_initiate_recovery_post",
    method: "POST",
    path: () => "/customers/mfa_login_recovery",
    options: (ids) => json({ audience: ids.audience, type: "customer", ident_type: "email", ident: ids.email }),
    uniform: true,
  },
  {
    operation: "aid_customers_change_password",
    method: "POST",
    path: () => "/customers/change_password",
    options: (ids) => json({ audience: ids.audience, type: "customer", email: ids.email }),
    uniform: true,
  },
  {
    operation: "accounts_oid_signup_post",
    method: "POST",
    path: () => "/signup",
    options: () => json({ email: `${randomUUID()}@example.com`, business_name: "New Shop", organization_number: "1" }),
    idless: true,
  },
  {
    operation: "accounts_oid_signup_verify_post",
    method: "POST",
    path: () => "/signup/verify",
    options: (ids) => ({ query: { verification_code: ids.signup_code, authorize: "Bearer" } }),
  },
  {
    operation: "sandbox_messages_get",
    method: "GET",
    path: () => "/sandbox/messages",
    options: (ids) => ({ query: { to: ids.email } }),
    succeeds: true,
  },
];

/** Operations whose path names no account: the token says whose it is. Their path is below the server. */
export const OWN_ATTEMPTS: readonly Attempt[] = [
  { operation: "account_user_get", method: "GET", path: () => "/v1/account/user" },
  {
    operation: "account_user_password_put",
    method: "POST",
    path: () => "/v1/account/user/password",
    options: () => json({ proposed_password: "a new battery" }),
  },
  {
    operation: "account_user_mfa_sms_put",
    method: "PUT",
    path: () => "/v1/account/user/mfa/sms",
    options: () => json({ enabled: false }),
  },
  { operation: "account_user_mfa_totp_post", method: "POST", path: () => "/v1/account/user/mfa/totp" },
  {
    operation: "account_user_mfa_totp_put",
    method: "PUT",
    path: () => "/v1/account/user/mfa/totp",
    options: () => json({ enabled: false }),
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
  audience: "https://api.shop.example",
  role: "01900000-0000-7000-8000-000000000004",
  account_user: "01900000-0000-7000-8000-000000000005",
  mfa_email: "nobody@nowhere.example",
  mfa_token: "x".repeat(200),
  refresh_token: "x".repeat(70),
  merchant: "T99999998",
  username: "nobody",
  signup_code: "7KQM4-X2PVD",
};

export async function idsOf(latchkey: Latchkey, tenant: Tenant): Promise<Ids> {
  const { client, user, account_id } = tenant;
  await receiveCode(tenant);
  await setPassword(latchkey, account_id, user.id, PASSWORD, QUICK_HASH);
  const staff = await addPerson(latchkey, account_id, { factors: ["sms", "email"], hash: QUICK_HASH });
  const made = (path: string, body: object, method = "POST") =>
    call(`${tenant.base}${path}`, { method, token: tenant.token, json: body });
  await made("/auth/settings", { signup: true }, "PATCH");
  const role = (await made("/auth/roles", { name: "support", scope: [] })).body.id;
  const account_user = (await made("/management/users", { email: `${randomUUID()}@example.com` })).body.id;
  const { audience } = tenant;
  const pending = await token(tenant, { grant_type: "password", username: staff.email, password: PASSWORD, audience });
  const session = await token(tenant, { grant_type: "password", username: user.email, password: PASSWORD, audience });
  const username = randomUUID();
  await made("/auth/users", { username, password: PASSWORD });
  const applicant = `${randomUUID()}@example.com`;
  await made("/signup", { email: applicant });
  const [mail] = await inbox(tenant, applicant);
  await consent(latchkey, account_id, user.id, client.id);
  return {
    role,
    account_user,
    mfa_email: staff.email,
    mfa_token: pending.body.mfa_token,
    refresh_token: session.body.refresh_token,
    merchant: account_id,
    username,
    signup_code: mail?.verification_code ?? "",
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
