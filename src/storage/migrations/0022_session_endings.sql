-- Sessions that have ended, and part of what they led to not yet: how far that is. A row goes when it is done.
create table session_endings (
  account_id text not null,
  session_id text not null,
  user_id text not null,
  -- the last of its authorizations that was ended, in this order; empty before the first
  client_id text not null,
  sid text not null,
  primary key (account_id, session_id)
);
