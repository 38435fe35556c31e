-- Who may use a login's refresh tokens, where another client got them than the one whose login it is.
alter table refresh_families add column holder_id text;
