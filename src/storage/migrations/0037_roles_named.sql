-- Roles of one name are found without a look at all others of the account.
create index if not exists roles_named on roles (account_id, name, deleted_at, id);
