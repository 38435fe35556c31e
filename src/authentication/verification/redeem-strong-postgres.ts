import { audit_columns } from "../../audit/audit.ts";
import { ANSWER_COLUMNS, FATE_POSTGRES, FITS, INPUT_POSTGRES, LIVES_POSTGRES, MAY_LOG_IN } from "./redeem-rows.ts";

const found = (column: string, kind: string) => `
  select i.n, (${FITS}) as fits, c.*
  from asked i join digest d using (n) join verification_codes c on c.account_id = i.account_id and c.${column} = d.digest
  where i.kind = '${kind}' and not i.pressed and c.expires_at > i.remembered`;

/** Typable codes and links: nothing is counted before they are compared. */
export const REDEEM_STRONG_POSTGRES = `
with ${INPUT_POSTGRES},
asked as materialized (
  select i.*, ${LIVES_POSTGRES},
    i.kind = 'typable' and i.length = 10 and i.person is null and exists (
      select from budgets b where b.account_id = i.account_id and b.budget = 'typable_pressure'
        and b.subject = i.client_id and b.window_ends_at > i.now) as pressed
  from input i
),
-- What the presented codes name, spent and expired rows included, as it was when the statement began.
found as materialized (${found("typed_digest", "typable")}
  union all ${found("link_digest", "link")}
),
-- All live codes of these logins as they are now, held until the commit.
locked as materialized (
  select c.account_id, c.id, c.client_id, c.audience, c.person, c.user_id, c.signup, c.expires_at
  from (select distinct account_id, client_id, audience, person from found where fits and spent_at is null) g
    join verification_codes c using (account_id, client_id, audience, person)
  where c.spent_at is null and c.expires_at > (select min(now) from input)
  order by c.account_id, c.id
  for update of c
),
winner as materialized (
  select distinct on (l.account_id, l.client_id, l.audience, l.person)
    l.account_id, l.client_id, l.audience, l.person, l.id, i.n, i.attempt, i.now,
    i.event_id, i.action, i.outcome, i.actor, i.context
  from asked i join found f on f.n = i.n and f.fits join locked l on l.account_id = f.account_id and l.id = f.id
  where i.client_lives and i.grant_lives and l.expires_at > i.now and ${MAY_LOG_IN}
  order by l.account_id, l.client_id, l.audience, l.person, i.n
),
spent as (
  update verification_codes c set
    spent_at = w.now, redeemed_by = case when w.id = c.id then w.attempt else c.redeemed_by end
  from locked l join winner w using (account_id, client_id, audience, person)
  where c.account_id = l.account_id and c.id = l.id and c.spent_at is null
  returning c.account_id, c.id, c.redeemed_by
),
-- A success ends the memory of wrong numeric guesses. Every code is locked before the first budget is.
remembered as materialized (
  select b.account_id, b.subject from winner w
    join budgets b on b.account_id = w.account_id and b.budget = 'numeric_guess' and b.subject = w.person
  where b.level > 0 or b.failures > 0
  order by b.account_id, b.subject
  for update of b
),
forgiven as (
  update budgets b set level = 0, failures = 0 from remembered r
  where b.account_id = r.account_id and b.budget = 'numeric_guess' and b.subject = r.subject
),
audited as (
  insert into audit_events (${audit_columns})
  select w.account_id, w.event_id, w.now, w.action, w.outcome, w.id, w.actor, w.context
  from winner w join spent s on s.account_id = w.account_id and s.id = w.id and s.redeemed_by = w.attempt
)
select i.n, i.pressed, 0 as wrong, null as exhausted_until, ${ANSWER_COLUMNS}
from asked i ${FATE_POSTGRES}`;
