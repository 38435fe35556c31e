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
