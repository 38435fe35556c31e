-- What the rest of the account API needs: roles, passwords, second factors, refresh tokens, upstream identities, sign-up.

create table roles (
  account_id text not null,
  id text not null,
  name text,
  description text,
  scope text not null,
  created_at text not null,
  created_by text,
  updated_at text not null,
  deleted_at text,
  deleted_by text,
  primary key (account_id, id)
);

create table user_roles (
  account_id text not null,
  user_id text not null,
  role_id text not null,
  primary key (account_id, user_id, role_id)
);
create index user_roles_role on user_roles (account_id, role_id);

alter table users add column last_seen_at text;
-- whether one of the person's second factors is switched on
alter table users add column second_factor bigint not null default 0;
drop view live_users;
create view live_users as
  select account_id, id, type, email, email_canonical, email_verified_at, phone_number, phone_verified_at, name, locale,
    second_factor
  from users where deleted_at is null;
-- The one index that crosses accounts: which accounts a verified address belongs to.
create index users_address on users (email_canonical)
  where type = 'account_user' and deleted_at is null and email_verified_at is not null;

-- Codes of a person whatever the client: which one a numeric code was made for.
create index verification_codes_account_person on verification_codes (account_id, person, audience);

create table passwords (
  account_id text not null,
  user_id text not null,
  kind text not null check (kind in ('password', 'pin')),
  hash text not null,
  updated_at text not null,
  primary key (account_id, user_id, kind)
);

create table usernames (
  account_id text not null,
  id text not null,
  username text not null,
  user_id text not null,
  links text not null,
  mfa text,
  created_at text not null,
  created_by text,
  updated_at text not null,
  deleted_at text,
  deleted_by text,
  primary key (account_id, id)
);
create unique index usernames_username on usernames (account_id, username) where deleted_at is null;
create index usernames_user on usernames (account_id, user_id);

create table factors (
  account_id text not null,
  user_id text not null,
  kind text not null check (kind in ('totp', 'sms', 'email')),
  -- address or number that binding codes go to
  target text,
  -- TOTP; sealed
  seed bytea,
  enabled_at text,
  -- the last TOTP step that was accepted
  last_step bigint not null default 0,
  updated_at text not null,
  primary key (account_id, user_id, kind)
);

-- A family of refresh tokens; its id is the authorization (`sid`) that all its tokens carry.
create table refresh_families (
  account_id text not null,
  id text not null,
  client_id text not null,
  user_id text not null,
  grant_id text not null,
  audience text not null,
  scope text not null,
  auth_time bigint not null,
  amr text not null,
  generation bigint not null,
  -- of the token of this generation
  digest bytea not null,
  key_version text not null,
  created_at text not null,
  -- single claims that userinfo tells
  userinfo_claims text not null default '[]',
  -- thumbprint of the DPoP key that its tokens are bound to
  dpop_jkt text,
  rotated_at text,
  -- the token before this generation was answered once more, because its answer was lost
  grace_used bigint not null default 0 check (grace_used in (0, 1)),
  idle_expires_at text not null,
  expires_at text not null,
  revoked_at text,
  primary key (account_id, id)
);
create index refresh_families_user on refresh_families (account_id, user_id);
create index refresh_families_expiry on refresh_families (expires_at);

create table federated_identities (
  account_id text not null,
  issuer text not null,
  subject text not null,
  user_id text not null,
  created_at text not null,
  primary key (account_id, issuer, subject)
);
create index federated_identities_user on federated_identities (account_id, user_id);

-- Tokens that work once: exchange tokens, and the tokens of a pending second factor.
create table used_tokens (
  account_id text not null,
  id text not null,
  expires_at text not null,
  primary key (account_id, id)
);
create index used_tokens_expiry on used_tokens (expires_at);

-- An address or number that is about to be verified. Its code is derived, as verification codes are.
create table contact_challenges (
  account_id text not null,
  user_id text not null,
  field text not null check (field in ('email', 'phone_number')),
  value text not null,
  challenge_id bytea not null,
  key_version text not null,
  counter bigint not null,
  length bigint not null,
  created_at text not null,
  expires_at text not null,
  primary key (account_id, user_id, field)
);
create index contact_challenges_expiry on contact_challenges (expires_at);

-- Somebody who wants an account under an owner, and has not verified their address yet.
create table signups (
  account_id text not null,
  id text not null,
  email text not null,
  applicant text not null,
  digest bytea not null,
  challenge_id bytea not null,
  key_version text not null,
  counter bigint not null,
  created_at text not null,
  expires_at text not null,
  verified_at text,
  -- the account that it became
  created_account_id text,
  primary key (account_id, id)
);
create unique index signups_digest on signups (account_id, digest);
create index signups_expiry on signups (expires_at);
