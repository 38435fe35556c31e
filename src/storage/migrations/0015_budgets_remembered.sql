-- Budgets that are remembered for long stand in nobody's way. Each is in one of the two.
create index if not exists budgets_ended on budgets (window_ends_at) where failures = 0 and level = 0;
create index if not exists budgets_remembered on budgets (window_ends_at) where failures > 0 or level > 0;
