-- Which grants of an account have just changed, without a look at all of them.
-- postgres: create index if not exists grants_changed on grants (account_id, updated_at) where deleted_at is null;
create index if not exists grants_changed on grants (account_id, deleted_at, updated_at) where deleted_at is null;
