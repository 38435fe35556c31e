-- A user name in lower case, by which it is found and is one person's; null where it is found as it is written alone.
alter table usernames add column username_canonical text;
create unique index if not exists usernames_canonical on usernames (account_id, username_canonical)
  where username_canonical is not null and deleted_at is null;
