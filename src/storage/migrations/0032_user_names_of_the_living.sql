-- As 0026, which in builds from before counted the names of people who are gone: those kept living ones from being found in any case.
update usernames set username_canonical = lower(username)
  where username_canonical is null and (account_id, id) in (
    select account_id, min(id) from usernames
    where deleted_at is null and exists (
      select 1 from users
      where users.account_id = usernames.account_id and users.id = usernames.user_id and users.deleted_at is null
    )
    group by account_id, lower(username)
    having count(*) = 1
  )
  and not exists (
    select 1 from usernames other
    where other.account_id = usernames.account_id and other.username_canonical = lower(usernames.username)
      and other.deleted_at is null
  );
