-- untried_since says by now since when nobody has agreed to a stranger's client or used it. Builds that took the mark away for
-- good, where somebody agreed, left clients that would never give way, though nobody agrees to them any more.
update clients set untried_since = coalesce((select r.used_at from client_registrations r
    where r.account_id = clients.account_id and r.client_id = clients.id), created_at)
  where untried_since is null and deleted_at is null
    and (origin = 'metadata' or origin = 'dynamic' and created_by = 'open-registration');
