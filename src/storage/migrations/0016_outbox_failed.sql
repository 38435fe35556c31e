-- Messages that were given up, by when. SQLite needs their state in the index, or it reads the queues of that state; PostgreSQL does not
-- look for a state that the index implies, and needs it out.
-- postgres: create index if not exists outbox_failed on outbox (finished_at) where state = 'failed';
create index if not exists outbox_failed on outbox (state, finished_at) where state = 'failed';
