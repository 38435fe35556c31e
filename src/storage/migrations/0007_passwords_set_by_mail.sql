-- Over which channel a password was set, where that is how its owner was known: the same channel is no second factor beside it.
alter table passwords add column set_over text;
