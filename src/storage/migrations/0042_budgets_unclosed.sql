-- Wrong passwords and second factors that closed nothing, of whatever name a stranger makes up, are forgotten before the rest.
create index if not exists budgets_unclosed on budgets (budget, window_ends_at) where failures > 0 and level = 0;
