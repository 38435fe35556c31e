-- What was deleted stays, as its names do: roles, clients and grants that live are found without it, however much it is. SQLite needs in
-- the index that they live, or it reads the table by its key, which leads to them as well; PostgreSQL does not look for what the
-- index implies, and needs it out.
-- postgres: create index if not exists roles_live on roles (account_id, id) where deleted_at is null;
create index if not exists roles_live on roles (account_id, deleted_at, id) where deleted_at is null;
-- postgres: create index if not exists clients_live on clients (account_id, id) where deleted_at is null;
create index if not exists clients_live on clients (account_id, deleted_at, id) where deleted_at is null;
-- postgres: create index if not exists grants_live on grants (account_id, id) where deleted_at is null;
create index if not exists grants_live on grants (account_id, deleted_at, id) where deleted_at is null;
-- postgres: create index if not exists grants_of_client on grants (account_id, client_id, id) where deleted_at is null;
create index if not exists grants_of_client on grants (account_id, client_id, deleted_at, id) where deleted_at is null;
-- The account's own clients that log account users in, of whom the oldest is looked for on behalf of strangers.
create index if not exists clients_staff on clients (account_id, deleted_at, origin, id)
  where deleted_at is null and settings like '%"first_party":true%' and settings like '%"user_type":"account_user"%';
