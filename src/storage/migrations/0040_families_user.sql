-- What it said, refresh_families_begun says first. Apart from that one, as in 0017.
drop index if exists refresh_families_user;
