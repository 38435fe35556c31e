-- Keys that may be too old, and keys that end, without reading every account's.
create index if not exists signing_keys_unretired on signing_keys (active_at) where retired_at is null;
create index if not exists signing_keys_expiry on signing_keys (expires_at) where expires_at is not null;
