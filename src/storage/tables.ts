// Generated from the migrations by scripts/tables.mjs. Do not edit.
import type { Generated } from "kysely";

export interface AccountKeys {
  account_id: string;
  name: string;
  sealed: Uint8Array;
  created_at: string;
}

export interface Accounts {
  account_id: string;
  name: string;
  settings: string;
  created_at: string;
  created_by: string | null;
  updated_at: string;
  deleted_at: string | null;
  deleted_by: string | null;
}

export interface AuditEvents {
  account_id: string;
  id: string;
  created_at: string;
  action: string;
  outcome: string;
  entity: string | null;
  actor: string | null;
  context: string;
}

export interface AuthorizationRequests {
  account_id: string;
  id: string;
  client_id: string;
  kind: string;
  parameters: string;
  progress: string;
  browser_digest: Uint8Array | null;
  created_at: string;
  expires_at: string;
  used_at: string | null;
}

export interface Budgets {
  account_id: string;
  budget: string;
  subject: string;
  count: number;
  window_ends_at: string;
  level: Generated<number>;
  failures: Generated<number>;
}

export interface ClientRegistrations {
  account_id: string;
  client_id: string;
  token_digest: Uint8Array | null;
  fresh_until: string | null;
  used_at: string;
  expires_at: string;
}

export interface ClientSecrets {
  account_id: string;
  id: string;
  client_id: string;
  algorithm: string;
  digest: Uint8Array;
  created_at: string;
  not_after: string | null;
  last_used_at: string | null;
}

export interface Clients {
  account_id: string;
  id: string;
  client_id: string;
  name: string | null;
  description: string | null;
  settings: string;
  created_at: string;
  created_by: string | null;
  updated_at: string;
  deleted_at: string | null;
  deleted_by: string | null;
  origin: Generated<string>;
  set_by_account: string | null;
  untried_since: string | null;
}

export interface Connections {
  account_id: string;
  name: string;
  strategy: string;
  settings: string;
  created_at: string;
  updated_at: string;
  deleted_at: string | null;
}

export interface Consents {
  account_id: string;
  user_id: string;
  client_id: string;
  audience: string;
  scope: string;
  granted_at: string;
  host: Generated<string>;
}

export interface ContactChallenges {
  account_id: string;
  user_id: string;
  field: string;
  value: string;
  challenge_id: Uint8Array;
  key_version: string;
  counter: number;
  length: number;
  created_at: string;
  expires_at: string;
}

export interface DeviceCodes {
  account_id: string;
  id: string;
  digest: Uint8Array;
  user_code_digest: Uint8Array;
  client_id: string;
  parameters: string;
  state: string;
  answer: string | null;
  poll_interval: number;
  polled_at: string | null;
  created_at: string;
  expires_at: string;
}

export interface Factors {
  account_id: string;
  user_id: string;
  kind: string;
  target: string | null;
  seed: Uint8Array | null;
  enabled_at: string | null;
  last_step: Generated<number>;
  updated_at: string;
}

export interface FederatedIdentities {
  account_id: string;
  issuer: string;
  subject: string;
  user_id: string;
  created_at: string;
}

export interface Grants {
  account_id: string;
  id: string;
  client_id: string;
  audience: string;
  scope: string;
  type: string;
  oidc: string | null;
  oidc_client_secret: Uint8Array | null;
  created_at: string;
  created_by: string | null;
  updated_at: string;
  deleted_at: string | null;
  deleted_by: string | null;
}

export interface LiveClients {
  account_id: string;
  id: string;
  client_id: string;
}

export interface LiveGrants {
  account_id: string;
  id: string;
  client_id: string;
  audience: string;
  type: string;
  scope: string;
}

export interface LiveUsers {
  account_id: string;
  id: string;
  type: string;
  email: string | null;
  email_canonical: string | null;
  email_verified_at: string | null;
  phone_number: string | null;
  phone_verified_at: string | null;
  name: string | null;
  locale: string | null;
  second_factor: number;
}

export interface LoginSessions {
  account_id: string;
  id: string;
  client_id: string;
  audience: string;
  person: string;
  user_id: string | null;
  identifier: string;
  email: string | null;
  phone_number: string | null;
  code_id: string;
  created_at: string;
  expires_at: string;
}

export interface Migrations {
  name: string | null;
  applied_at: string;
}

export interface Outbox {
  account_id: string;
  id: string;
  kind: string;
  channel: string;
  payload: string;
  inbox: string | null;
  state: string;
  attempts: Generated<number>;
  next_attempt_at: string;
  claimed_by: string | null;
  last_error: string | null;
  created_at: string;
  expires_at: string;
  finished_at: string | null;
  destination: Generated<string>;
  unanswered: Generated<number>;
}

export interface Passwords {
  account_id: string;
  user_id: string;
  kind: string;
  hash: string;
  updated_at: string;
  set_over: string | null;
}

export interface PersonEndings {
  account_id: string;
  user_id: string;
  session_id: string;
  family: Generated<string>;
}

export interface RedeemedAuthorizationCodes {
  account_id: string;
  id: string;
  sid: string;
  redeemed_at: string;
  expires_at: string;
}

export interface RefreshFamilies {
  account_id: string;
  id: string;
  client_id: string;
  user_id: string;
  grant_id: string;
  audience: string;
  scope: string;
  auth_time: number;
  amr: string;
  generation: number;
  digest: Uint8Array;
  key_version: string;
  created_at: string;
  userinfo_claims: Generated<string>;
  dpop_jkt: string | null;
  rotated_at: string | null;
  grace_used: Generated<number>;
  idle_expires_at: string;
  expires_at: string;
  revoked_at: string | null;
  holder_id: string | null;
  session_id: string | null;
  surface: string | null;
  provider: string | null;
}

export interface Revocations {
  account_id: string;
  subject: string;
  revoked_at: string;
  expires_at: string;
}

export interface Roles {
  account_id: string;
  id: string;
  name: string | null;
  description: string | null;
  scope: string;
  created_at: string;
  created_by: string | null;
  updated_at: string;
  deleted_at: string | null;
  deleted_by: string | null;
}

export interface SessionAuthorizations {
  account_id: string;
  session_id: string;
  sid: string;
  client_id: string;
  created_at: string;
  expires_at: string;
}

export interface SessionEndings {
  account_id: string;
  session_id: string;
  user_id: string;
  client_id: string;
  sid: string;
}

export interface Sessions {
  account_id: string;
  id: string;
  browser_digest: Uint8Array;
  user_id: string;
  auth_time: number;
  amr: string;
  provider: string | null;
  created_at: string;
  idle_expires_at: string;
  expires_at: string;
  ended_at: string | null;
  previous_digest: Uint8Array | null;
}

export interface SigningKeys {
  account_id: string;
  kid: string;
  alg: string;
  public_jwk: string;
  private_key: Uint8Array;
  created_at: string;
  active_at: string;
  retired_at: string | null;
  expires_at: string | null;
}

export interface Signups {
  account_id: string;
  id: string;
  email: string;
  applicant: string;
  digest: Uint8Array;
  challenge_id: Uint8Array;
  key_version: string;
  counter: number;
  created_at: string;
  expires_at: string;
  verified_at: string | null;
  created_account_id: string | null;
}

export interface UsedTokens {
  account_id: string;
  id: string;
  expires_at: string;
}

export interface UserRoles {
  account_id: string;
  user_id: string;
  role_id: string;
}

export interface Usernames {
  account_id: string;
  id: string;
  username: string;
  user_id: string;
  links: string;
  mfa: string | null;
  created_at: string;
  created_by: string | null;
  updated_at: string;
  deleted_at: string | null;
  deleted_by: string | null;
  username_canonical: string | null;
}

export interface Users {
  account_id: string;
  id: string;
  type: string;
  customer_id: string | null;
  email: string | null;
  email_canonical: string | null;
  email_verified_at: string | null;
  phone_number: string | null;
  phone_verified_at: string | null;
  name: string | null;
  locale: string | null;
  profile: string;
  scope: string;
  created_at: string;
  created_by: string | null;
  updated_at: string;
  deleted_at: string | null;
  deleted_by: string | null;
  last_seen_at: string | null;
  second_factor: Generated<number>;
  logins_ended_at: string | null;
  logins_ended_but: string | null;
}

export interface VerificationCodes {
  account_id: string;
  id: string;
  client_id: string;
  audience: string;
  person: string;
  user_id: string | null;
  connections: string | null;
  format: string;
  length: number;
  challenge_id: Uint8Array;
  counter: number;
  key_version: string;
  typed_digest: Uint8Array | null;
  link_digest: Uint8Array | null;
  signup: Generated<number>;
  email: string | null;
  phone_number: string | null;
  guesses: Generated<number>;
  guess_limit: number;
  created_at: string;
  created_by: string | null;
  expires_at: string;
  last_sent_at: string | null;
  spent_at: string | null;
  redeemed_by: string | null;
}

export interface Tables {
  account_keys: AccountKeys;
  accounts: Accounts;
  audit_events: AuditEvents;
  authorization_requests: AuthorizationRequests;
  budgets: Budgets;
  client_registrations: ClientRegistrations;
  client_secrets: ClientSecrets;
  clients: Clients;
  connections: Connections;
  consents: Consents;
  contact_challenges: ContactChallenges;
  device_codes: DeviceCodes;
  factors: Factors;
  federated_identities: FederatedIdentities;
  grants: Grants;
  live_clients: LiveClients;
  live_grants: LiveGrants;
  live_users: LiveUsers;
  login_sessions: LoginSessions;
  migrations: Migrations;
  outbox: Outbox;
  passwords: Passwords;
  person_endings: PersonEndings;
  redeemed_authorization_codes: RedeemedAuthorizationCodes;
  refresh_families: RefreshFamilies;
  revocations: Revocations;
  roles: Roles;
  session_authorizations: SessionAuthorizations;
  session_endings: SessionEndings;
  sessions: Sessions;
  signing_keys: SigningKeys;
  signups: Signups;
  used_tokens: UsedTokens;
  user_roles: UserRoles;
  usernames: Usernames;
  users: Users;
  verification_codes: VerificationCodes;
}

/**
 * All columns of each table, by name: what a newer process adds to a table changes nothing for one that runs, and
 * PostgreSQL keeps the plan of a statement only while its columns are the same.
 */
export const columns = {
  account_keys: ["account_id", "name", "sealed", "created_at"],
  accounts: ["account_id", "name", "settings", "created_at", "created_by", "updated_at", "deleted_at", "deleted_by"],
  audit_events: ["account_id", "id", "created_at", "action", "outcome", "entity", "actor", "context"],
  authorization_requests: ["account_id", "id", "client_id", "kind", "parameters", "progress", "browser_digest", "created_at", "expires_at", "used_at"],
  budgets: ["account_id", "budget", "subject", "count", "window_ends_at", "level", "failures"],
  client_registrations: ["account_id", "client_id", "token_digest", "fresh_until", "used_at", "expires_at"],
  client_secrets: ["account_id", "id", "client_id", "algorithm", "digest", "created_at", "not_after", "last_used_at"],
  clients: ["account_id", "id", "client_id", "name", "description", "settings", "created_at", "created_by", "updated_at", "deleted_at", "deleted_by", "origin", "set_by_account", "untried_since"],
  connections: ["account_id", "name", "strategy", "settings", "created_at", "updated_at", "deleted_at"],
  consents: ["account_id", "user_id", "client_id", "audience", "scope", "granted_at", "host"],
  contact_challenges: ["account_id", "user_id", "field", "value", "challenge_id", "key_version", "counter", "length", "created_at", "expires_at"],
  device_codes: ["account_id", "id", "digest", "user_code_digest", "client_id", "parameters", "state", "answer", "poll_interval", "polled_at", "created_at", "expires_at"],
  factors: ["account_id", "user_id", "kind", "target", "seed", "enabled_at", "last_step", "updated_at"],
  federated_identities: ["account_id", "issuer", "subject", "user_id", "created_at"],
  grants: ["account_id", "id", "client_id", "audience", "scope", "type", "oidc", "oidc_client_secret", "created_at", "created_by", "updated_at", "deleted_at", "deleted_by"],
  login_sessions: ["account_id", "id", "client_id", "audience", "person", "user_id", "identifier", "email", "phone_number", "code_id", "created_at", "expires_at"],
  migrations: ["name", "applied_at"],
  outbox: ["account_id", "id", "kind", "channel", "payload", "inbox", "state", "attempts", "next_attempt_at", "claimed_by", "last_error", "created_at", "expires_at", "finished_at", "destination", "unanswered"],
  passwords: ["account_id", "user_id", "kind", "hash", "updated_at", "set_over"],
  person_endings: ["account_id", "user_id", "session_id", "family"],
  redeemed_authorization_codes: ["account_id", "id", "sid", "redeemed_at", "expires_at"],
  refresh_families: ["account_id", "id", "client_id", "user_id", "grant_id", "audience", "scope", "auth_time", "amr", "generation", "digest", "key_version", "created_at", "userinfo_claims", "dpop_jkt", "rotated_at", "grace_used", "idle_expires_at", "expires_at", "revoked_at", "holder_id", "session_id", "surface", "provider"],
  revocations: ["account_id", "subject", "revoked_at", "expires_at"],
  roles: ["account_id", "id", "name", "description", "scope", "created_at", "created_by", "updated_at", "deleted_at", "deleted_by"],
  session_authorizations: ["account_id", "session_id", "sid", "client_id", "created_at", "expires_at"],
  session_endings: ["account_id", "session_id", "user_id", "client_id", "sid"],
  sessions: ["account_id", "id", "browser_digest", "user_id", "auth_time", "amr", "provider", "created_at", "idle_expires_at", "expires_at", "ended_at", "previous_digest"],
  signing_keys: ["account_id", "kid", "alg", "public_jwk", "private_key", "created_at", "active_at", "retired_at", "expires_at"],
  signups: ["account_id", "id", "email", "applicant", "digest", "challenge_id", "key_version", "counter", "created_at", "expires_at", "verified_at", "created_account_id"],
  used_tokens: ["account_id", "id", "expires_at"],
  user_roles: ["account_id", "user_id", "role_id"],
  usernames: ["account_id", "id", "username", "user_id", "links", "mfa", "created_at", "created_by", "updated_at", "deleted_at", "deleted_by", "username_canonical"],
  users: ["account_id", "id", "type", "customer_id", "email", "email_canonical", "email_verified_at", "phone_number", "phone_verified_at", "name", "locale", "profile", "scope", "created_at", "created_by", "updated_at", "deleted_at", "deleted_by", "last_seen_at", "second_factor", "logins_ended_at", "logins_ended_but"],
  verification_codes: ["account_id", "id", "client_id", "audience", "person", "user_id", "connections", "format", "length", "challenge_id", "counter", "key_version", "typed_digest", "link_digest", "signup", "email", "phone_number", "guesses", "guess_limit", "created_at", "created_by", "expires_at", "last_sent_at", "spent_at", "redeemed_by"],
} as const satisfies { readonly [T in keyof Tables]?: readonly (keyof Tables[T])[] };
