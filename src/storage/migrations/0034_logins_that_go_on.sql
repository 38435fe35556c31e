-- With logins_ended_at: the sid of the one login that went on, empty where none did. Null where each that ended was marked, as
-- in builds from before.
alter table users add column
  logins_ended_but text;
-- People whose logins ended together, and some of whose sessions are not marked as ended yet: how far that is. A row goes when it is done.
create table person_endings (
  account_id text not null,
  user_id text not null,
  -- the last of their sessions that was looked at; empty before the first
  session_id text not null,
  primary key (account_id, user_id)
);
-- What a person began last is found without a look at all that they began.
create index if not exists refresh_families_begun on refresh_families (account_id, user_id, created_at);
create index if not exists sessions_begun on sessions (account_id, user_id, created_at);
-- Roles of one name, what is left of one person, and messages to an inbox are found without a look at all others of the account.
create index if not exists roles_named on roles (account_id, name, deleted_at, id);
create index if not exists session_endings_person on session_endings (account_id, user_id, session_id);
create index if not exists outbox_inboxes on outbox (account_id, id) where inbox is not null;
