-- The cookie that a session's browser had before this one, until this one is shown: the answer that set it may be lost.
alter table sessions add column previous_digest bytea;
