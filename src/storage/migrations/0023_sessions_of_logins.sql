-- What ID tokens of a login name as sid: the session of the browser that it came from, else the login itself. Null
-- where that was not noted.
alter table refresh_families add column session_id text;
