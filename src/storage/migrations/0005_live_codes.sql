-- Whoever asks for a person's codes asks for those that are alive. The others stay for a day, and somebody who logs in all the time has
-- hundreds of them, each a row to be read and passed over.
create index verification_codes_live on verification_codes (account_id, person, expires_at);
drop index verification_codes_person;
drop index verification_codes_account_person;
