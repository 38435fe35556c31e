-- What a person began last is found without a look at all that they began. One index a file from here on: whoever needs one of
-- the tables does not wait for the others.
create index if not exists refresh_families_begun on refresh_families (account_id, user_id, created_at);
