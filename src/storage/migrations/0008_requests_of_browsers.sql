-- Whoever logs in gets a new cookie, and what their browser has under way follows it: found by the browser, not by reading the account's.
create index authorization_requests_browser on authorization_requests (account_id, browser_digest) where browser_digest is not null;
