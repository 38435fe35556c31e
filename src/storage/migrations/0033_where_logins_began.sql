-- At which surface a login that can be refreshed began, and the issuer of the other server that vouched for the person. Null where a
-- version before did not note either.
alter table refresh_families add column surface text;
alter table refresh_families add column provider text;
