-- Standard OAuth and OpenID Connect: browsers that are logged in, requests under way, consent.

create table sessions (
  account_id text not null,
  id text not null,
  -- of the cookie; another one after each login
  browser_digest bytea not null,
  user_id text not null,
  -- milliseconds since the epoch
  auth_time bigint not null,
  amr text not null,
  -- issuer of the other server that logged them in
  provider text,
  created_at text not null,
  idle_expires_at text not null,
  expires_at text not null,
  ended_at text,
  primary key (account_id, id)
);
create index sessions_browser on sessions (account_id, browser_digest);
create index sessions_user on sessions (account_id, user_id);
create index sessions_expiry on sessions (expires_at);

-- What a session led to: whom to tell, and what to revoke, when it ends.
create table session_authorizations (
  account_id text not null,
  session_id text not null,
  sid text not null,
  client_id text not null,
  created_at text not null,
  expires_at text not null,
  primary key (account_id, session_id, sid)
);
create index session_authorizations_expiry on session_authorizations (expires_at);

-- Authorization requests: pushed (RFC 9126), or with a browser that is logging in.
create table authorization_requests (
  account_id text not null,
  id text not null,
  client_id text not null,
  kind text not null check (kind in ('pushed', 'browser')),
  parameters text not null,
  -- how far the browser is
  progress text not null,
  browser_digest bytea,
  created_at text not null,
  expires_at text not null,
  used_at text,
  primary key (account_id, id)
);
create index authorization_requests_expiry on authorization_requests (expires_at);

create table consents (
  account_id text not null,
  user_id text not null,
  client_id text not null,
  audience text not null,
  scope text not null,
  granted_at text not null,
  primary key (account_id, user_id, client_id, audience)
);

-- Devices that wait for somebody to allow them in another browser (RFC 8628).
create table device_codes (
  account_id text not null,
  id text not null,
  -- of the code that the device polls with
  digest bytea not null,
  -- keyed, of what the person types
  user_code_digest bytea not null,
  client_id text not null,
  parameters text not null,
  state text not null check (state in ('pending', 'approved', 'denied')),
  -- once approved, an authorization code; sealed
  answer text,
  -- how often it may ask; milliseconds
  poll_interval bigint not null,
  polled_at text,
  created_at text not null,
  expires_at text not null,
  primary key (account_id, id)
);
create unique index device_codes_digest on device_codes (account_id, digest);
create unique index device_codes_user_code on device_codes (account_id, user_code_digest);
create index device_codes_expiry on device_codes (expires_at);

-- Clients that registered themselves (RFC 7591), or that a document at their address describes.
alter table clients add column origin text not null default 'account';

create table client_registrations (
  account_id text not null,
  client_id text not null,
  -- of the registration access token (RFC 7592)
  token_digest bytea,
  -- when its document is asked for again
  fresh_until text,
  used_at text not null,
  expires_at text not null,
  primary key (account_id, client_id)
);
create index client_registrations_expiry on client_registrations (expires_at);

-- Keys that an account needs for good, sealed.
create table account_keys (
  account_id text not null,
  name text not null,
  sealed bytea not null,
  created_at text not null,
  primary key (account_id, name)
);

-- What the hot statements read of a grant.
drop view live_grants;
create view live_grants as
  select account_id, id, client_id, audience, type, scope from grants where deleted_at is null;
