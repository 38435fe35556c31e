-- Since when a stranger's client waits for somebody to agree to anything at it: where an account has no room for another,
-- the one that has waited longest gives way. Null where somebody has, and where the account let the client in.
alter table clients add column untried_since text;
-- SQLite needs in the index what is null, as in 0027.
-- postgres: create index if not exists clients_untried on clients (account_id, origin, untried_since) where untried_since is not null and deleted_at is null and set_by_account is null;
create index if not exists clients_untried on clients (account_id, origin, deleted_at, set_by_account, untried_since)
  where untried_since is not null and deleted_at is null and set_by_account is null;
-- Those of before wait since they came, or an account that strangers have filled would stay full: all but those that
-- somebody agrees to, or that the account set or granted anything at.
update clients set untried_since = created_at
  where (origin = 'metadata' or origin = 'dynamic' and created_by = 'open-registration')
    and deleted_at is null and set_by_account is null
    and not exists (
      select 1 from consents where consents.account_id = clients.account_id and consents.client_id = clients.id
    )
    and not exists (
      select 1 from grants where grants.account_id = clients.account_id and grants.client_id = clients.id
    );
