-- The first schema. Columns are text, 64-bit integers and bytes only; instants are RFC 3339 text; booleans are 0 or 1.
-- Every row carries its account, and every key begins with it. `latchkey migrate` turns bigint and bytea into SQLite's names.

create table accounts (
  account_id text not null,
  name text not null,
  settings text not null,
  created_at text not null,
  created_by text,
  updated_at text not null,
  deleted_at text,
  deleted_by text,
  primary key (account_id)
);

-- What clients, grants, users, connections and roles may ask for.

create table clients (
  account_id text not null,
  id text not null,
  client_id text not null,
  name text,
  description text,
  settings text not null,
  created_at text not null,
  created_by text,
  updated_at text not null,
  deleted_at text,
  deleted_by text,
  primary key (account_id, id)
);
-- A client_id is taken for ever, also by a deleted client.
create unique index clients_client_id on clients (account_id, client_id);

create table client_secrets (
  account_id text not null,
  id text not null,
  client_id text not null,
  algorithm text not null check (algorithm in ('sha256', 'argon2id')),
  digest bytea not null,
  created_at text not null,
  not_after text,
  last_used_at text,
  primary key (account_id, client_id, id)
);

create table grants (
  account_id text not null,
  id text not null,
  client_id text not null,
  audience text not null,
  scope text not null,
  type text not null check (type in ('any', 'authorization_code', 'client_credentials', 'password')),
  oidc text,
  oidc_client_secret bytea,
  created_at text not null,
  created_by text,
  updated_at text not null,
  deleted_at text,
  deleted_by text,
  primary key (account_id, id)
);
create index grants_client on grants (account_id, client_id, audience);

create table connections (
  account_id text not null,
  name text not null,
  strategy text not null check (strategy in ('email', 'sms', 'oidc')),
  settings text not null,
  created_at text not null,
  updated_at text not null,
  deleted_at text,
  primary key (account_id, name)
);

create table users (
  account_id text not null,
  id text not null,
  type text not null check (type in ('customer', 'company', 'account_user')),
  customer_id text,
  email text,
  email_canonical text,
  email_verified_at text,
  phone_number text,
  phone_verified_at text,
  name text,
  locale text,
  profile text not null,
  scope text not null,
  created_at text not null,
  created_by text,
  updated_at text not null,
  deleted_at text,
  deleted_by text,
  primary key (account_id, id)
);
create unique index users_email on users (account_id, type, email_canonical) where deleted_at is null and email_canonical is not null;
create unique index users_customer_id on users (account_id, customer_id) where deleted_at is null and customer_id is not null;
create index users_phone_number on users (account_id, type, phone_number) where deleted_at is null and phone_number is not null;

create view live_clients as
  select account_id, id, client_id from clients where deleted_at is null;
create view live_grants as
  select account_id, id, client_id, audience, type from grants where deleted_at is null;
create view live_users as
  select account_id, id, type, email, email_canonical, email_verified_at, phone_number, phone_verified_at, name, locale
  from users where deleted_at is null;

-- Keys that sign. The private half is sealed under the master key.

create table signing_keys (
  account_id text not null,
  kid text not null,
  alg text not null check (alg in ('ES256', 'RS256', 'EdDSA')),
  public_jwk text not null,
  private_key bytea not null,
  created_at text not null,
  -- signs from this instant; published before it
  active_at text not null,
  -- no longer signs; still verifies
  retired_at text,
  -- no longer verifies
  expires_at text,
  primary key (account_id, kid)
);

-- Verification codes. No code is stored: it is derived from challenge_id and the key version.
-- `id` is also the authorization (`sid`) that redeeming the code begins.

create table verification_codes (
  account_id text not null,
  id text not null,
  client_id text not null,
  audience text not null,
  -- the user's id, or 'x:' and a keyed digest of an identifier nobody is known by
  person text not null,
  user_id text,
  -- names of the connections it was sent through, separated by spaces; null when it was minted
  connections text,
  format text not null check (format in ('typable', 'numeric', 'link')),
  length bigint not null,
  challenge_id bytea not null,
  counter bigint not null,
  key_version text not null,
  typed_digest bytea,
  link_digest bytea,
  -- a redemption signs the person up with the address or number below, where the client allows it
  signup bigint not null default 0 check (signup in (0, 1)),
  -- where it was sent
  email text,
  phone_number text,
  guesses bigint not null default 0,
  guess_limit bigint not null,
  created_at text not null,
  created_by text,
  expires_at text not null,
  last_sent_at text,
  spent_at text,
  -- the attempt that spent it; null when a sibling was redeemed
  redeemed_by text,
  primary key (account_id, id)
);
-- Every code is changed soon after it was written: room on its page keeps its index entries as they are.
-- postgres: alter table verification_codes set (fillfactor = 70);
create index verification_codes_typed on verification_codes (account_id, typed_digest);
create index verification_codes_link on verification_codes (account_id, link_digest);
create index verification_codes_person on verification_codes (account_id, client_id, person, audience);
create index verification_codes_expiry on verification_codes (expires_at);

create table login_sessions (
  account_id text not null,
  id text not null,
  client_id text not null,
  audience text not null,
  person text not null,
  user_id text,
  -- keyed digest of the identifier that the caller sent; whom its sends are counted against
  identifier text not null,
  -- what the user's record held, verified, when the session began: the only places a resend may go to
  email text,
  phone_number text,
  code_id text not null,
  created_at text not null,
  expires_at text not null,
  primary key (account_id, id)
);
create index login_sessions_expiry on login_sessions (expires_at);

-- Authorization codes (oauth/token) are sealed values, not rows; a row here says one was redeemed.
create table redeemed_authorization_codes (
  account_id text not null,
  id text not null,
  sid text not null,
  redeemed_at text not null,
  expires_at text not null,
  primary key (account_id, id)
);
create index redeemed_authorization_codes_expiry on redeemed_authorization_codes (expires_at);

-- How often anyone may try.

create table budgets (
  account_id text not null,
  budget text not null,
  subject text not null,
  count bigint not null,
  window_ends_at text not null,
  -- how often the window was exhausted without a success; doubles the next window
  level bigint not null default 0,
  -- wrong guesses since the last success
  failures bigint not null default 0,
  primary key (account_id, budget, subject)
);
create index budgets_window on budgets (window_ends_at);

-- Which authorizations are dead: 'sid:…', 'client:…', 'user:…', 'grant:…', 'account:…'.

create table revocations (
  account_id text not null,
  subject text not null,
  revoked_at text not null,
  expires_at text not null,
  primary key (account_id, subject)
);
create index revocations_revoked on revocations (revoked_at);
create index revocations_expiry on revocations (expires_at);

-- What must be sent is kept here until it is. No message is stored: it is rendered when it is sent or read.

create table outbox (
  account_id text not null,
  id text not null,
  kind text not null,
  -- 'mail', 'sms', 'sandbox', …; 'none' where there is nobody to send to
  channel text not null,
  payload text not null,
  -- test accounts only: the recipient whose sandbox inbox it is in
  inbox text,
  state text not null check (state in ('pending', 'sent', 'failed', 'withheld')),
  attempts bigint not null default 0,
  next_attempt_at text not null,
  claimed_by text,
  last_error text,
  created_at text not null,
  expires_at text not null,
  finished_at text,
  primary key (account_id, id)
);
create index outbox_due on outbox (state, next_attempt_at);
create index outbox_expiry on outbox (expires_at);
create index outbox_inbox on outbox (account_id, inbox, id) where inbox is not null;

-- What happened, append-only.

create table audit_events (
  account_id text not null,
  id text not null,
  created_at text not null,
  action text not null,
  outcome text not null check (outcome in ('success', 'failure')),
  entity text,
  actor text,
  context text not null,
  primary key (account_id, id)
);
create index audit_events_actor on audit_events (account_id, actor, id);
