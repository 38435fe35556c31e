-- Revocations are read page by page, many of one instant too.
create index revocations_pages on revocations (revoked_at, account_id, subject);
drop index revocations_revoked;

-- Keys that may be too old, and keys that end, without reading every account's.
create index signing_keys_unretired on signing_keys (active_at) where retired_at is null;
create index signing_keys_expiry on signing_keys (expires_at) where expires_at is not null;

-- Budgets that are remembered for long stand in nobody's way. Each is in one of the two.
create index budgets_ended on budgets (window_ends_at) where failures = 0 and level = 0;
create index budgets_remembered on budgets (window_ends_at) where failures > 0 or level > 0;
drop index budgets_window;

-- Messages that were given up, by when. SQLite needs their state in the index, or it reads the queues of that state; PostgreSQL does not
-- look for a state that the index implies, and needs it out.
create index outbox_failed on outbox (state, finished_at) where state = 'failed';
-- postgres: drop index outbox_failed;
-- postgres: create index outbox_failed on outbox (finished_at) where state = 'failed';
