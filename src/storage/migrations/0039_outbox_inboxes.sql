-- Messages to an inbox are found without a look at all others of the account.
create index if not exists outbox_inboxes on outbox (account_id, id) where inbox is not null;
