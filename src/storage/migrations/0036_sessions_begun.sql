create index if not exists sessions_begun on sessions (account_id, user_id, created_at);
