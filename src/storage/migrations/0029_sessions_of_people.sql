-- A person's sessions are read by pages, in this order.
create index if not exists sessions_person on sessions (account_id, user_id, id);
