-- Revocations are read page by page, many of one instant too.
create index revocations_pages on revocations (revoked_at, account_id, subject);
drop index revocations_revoked;
