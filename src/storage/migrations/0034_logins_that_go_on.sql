-- With logins_ended_at: that instant again, and the sid of the one login that went on, empty where none did. Null, or of another
-- instant, where each that ended was marked, as in builds from before.
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
