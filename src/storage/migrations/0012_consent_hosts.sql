-- The host that a person read when they agreed to a client that registered itself; empty for others, which they know by more.
alter table consents add column host text not null default '';
