-- Of a client that the account did not make, the names of what the account has set at it: a JSON array. Null where that
-- is nothing.
alter table clients add column set_by_account text;
