-- Consents go with their client: those at one client are found without reading all of the account. Those whose client is
-- gone already go now.
create index if not exists consents_client on consents (account_id, client_id);
delete from consents where not exists (
  select 1 from clients where clients.account_id = consents.account_id and clients.id = consents.client_id
);
