-- Apart from the column, so that nobody who reads sessions waits for it. Few are in it, each for a moment.
create index if not exists sessions_previous on sessions (account_id, previous_digest) where previous_digest is not null;
