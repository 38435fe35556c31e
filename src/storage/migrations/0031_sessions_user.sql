-- What it said, sessions_person says first. Apart from that one, as in 0017.
drop index if exists sessions_user;
