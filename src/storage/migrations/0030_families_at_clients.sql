-- What a person holds at one client is read by pages, without what they hold at others. SQLite needs in the index that it
-- was not revoked, as in 0027.
-- postgres: create index if not exists refresh_families_held on refresh_families (account_id, user_id, client_id, id) where revoked_at is null;
create index if not exists refresh_families_held on refresh_families (account_id, user_id, client_id, revoked_at, id)
  where revoked_at is null;
