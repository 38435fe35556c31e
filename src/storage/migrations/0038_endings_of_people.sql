-- What is left of one person is found without a look at all others of the account.
create index if not exists session_endings_person on session_endings (account_id, user_id, session_id);
