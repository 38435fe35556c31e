-- Revocations are read page by page, many of one instant too.
create index if not exists revocations_pages on revocations (revoked_at, account_id, subject);
drop index if exists revocations_revoked;
