-- What of a person's logins began before this instant has ended. Whoever begins one holds this row meanwhile, and whoever ends them does.
alter table users add column
  logins_ended_at text;
