-- Of people whose logins ended together, refresh tokens are marked by pages too, for builds that do not ask the
-- person's row. The last one looked at, by when it began and its id. Empty before the first.
alter table person_endings add column family text not null default '';
