-- Account users are found without a look at all customers, and who has verified a number without a look at those who
-- only say that they have it.
create index if not exists users_account_users on users (account_id, type, id)
  where type = 'account_user' and deleted_at is null;
create index if not exists users_verified_phone on users (account_id, type, phone_number)
  where deleted_at is null and phone_verified_at is not null;
