-- Which of a person's sessions were not ended is found without a look at those that were. SQLite needs in the index that they
-- were not, as in 0027.
-- postgres: create index if not exists sessions_unended on sessions (account_id, user_id, id) where ended_at is null;
create index if not exists sessions_unended on sessions (account_id, user_id, ended_at, id) where ended_at is null;
