-- Whose server a message goes to: the host that a client named; empty for the installation's own mail server and SMS provider. A process
-- takes messages by channel and destination, so that a server that never answers holds up what goes to it and nothing else.
alter table outbox add column destination text not null default '';
create index outbox_queues on outbox (state, channel, destination, next_attempt_at);
drop index outbox_due;

-- How many attempts left without an answer: the receiver may have the message already.
alter table outbox add column unanswered bigint not null default 0;
