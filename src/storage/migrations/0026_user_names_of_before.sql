-- Names that were there before are found in any case too, where no two living people's differ in case alone.
-- Letters beyond ASCII keep their case here: a name with such capitals is found as it is written until it is given anew.
update usernames set username_canonical = lower(username)
  where (account_id, id) in (
    select account_id, min(id) from usernames
    where deleted_at is null and exists (
      select 1 from users
      where users.account_id = usernames.account_id and users.id = usernames.user_id and users.deleted_at is null
    )
    group by account_id, lower(username)
    having count(*) = 1
  );
