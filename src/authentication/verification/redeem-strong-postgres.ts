import { audit_columns } from "../../audit/audit.ts";
import { codeColumns, FITS, INPUT_POSTGRES, LIVES_POSTGRES, USER_COLUMNS } from "./redeem-rows.ts";

/** Asked for by its key: `is true` keeps the index over all open windows of all accounts out of the plan. */
const PRESSED = `i.length = 10 and i.person is null and exists (
    select from budgets b where b.account_id = i.account_id and b.budget = 'typable_pressure'
      and b.subject = i.client_id and (b.window_ends_at > i.now) is true)`;

/**
 * Typable codes and links: nothing is counted before they are compared. One row for each row that a presented code names,
 * or one without a code where it names none.
 *
 * A login (client, audience and person) is named by the first input that presents a code of it. Budgets are joined by
 * columns of the winner alone, so that no plan, made while the table was small, can begin with all of them.
 */
export const redeemStrongPostgres = (kind: "typable" | "link") => `
with ${INPUT_POSTGRES},
asked as materialized (
  select i.*, ${LIVES_POSTGRES}, ${kind === "typable" ? PRESSED : "false"} as pressed
  from input i
),
-- What the presented codes name, spent and expired rows included, as it was when the statement began.
found as materialized (
  select i.n, i.account_id, i.pressed, i.client_lives, i.grant_lives, i.attempt, i.now,
    c.audience, (${FITS}) as fits, ${codeColumns("c")}, ${USER_COLUMNS},
    case when c.user_id is null then c.signup = 1 and i.signup = 1 else u.id is not null end as may_log_in
  from asked i join digest d using (n)
    left join verification_codes c on c.account_id = i.account_id and c.${kind === "typable" ? "typed_digest" : "link_digest"} = d.digest
      and c.expires_at > i.remembered and not i.pressed
    left join live_users u on u.account_id = i.account_id and u.id = c.user_id
),
-- All live codes of these logins as they are now, held until the commit.
locked as materialized (
  select c.account_id, c.id, g.login
  from (
      select min(n) as login, account_id, client_id, audience, person from found
      where fits and spent_at is null
      group by account_id, client_id, audience, person
    ) g join verification_codes c using (account_id, client_id, audience, person)
  where c.spent_at is null and c.expires_at > (select min(now) from input)
  order by c.account_id, c.id
  for update of c
),
winner as materialized (
  select distinct on (l.login) l.login, f.n, f.account_id, f.id, f.person, f.attempt, f.now, f.second_factor,
    'numeric_guess' as budget
  from found f join locked l on l.id = f.id and l.account_id = f.account_id
  where f.fits and f.client_lives and f.grant_lives and f.expires_at > f.now and f.may_log_in
  order by l.login, f.n
),
spent as (
  update verification_codes c set
    spent_at = w.now, redeemed_by = case when w.id = c.id then w.attempt else c.redeemed_by end
  from locked l join winner w on w.login = l.login
  where c.account_id = l.account_id and c.id = l.id and c.spent_at is null
  returning w.n, c.id, c.user_id, w.id = c.id as won
),
-- A success, which no second factor follows, ends the memory of wrong numeric guesses. Every code is locked before the
-- first budget is.
remembered as materialized (
  select b.account_id, b.budget, b.subject from winner w
    join budgets b on b.account_id = w.account_id and b.budget = w.budget and b.subject = w.person
  where w.second_factor is distinct from 1 and (b.level > 0 or b.failures > 0)
  order by b.account_id, b.subject
  for update of b
),
forgiven as (
  update budgets b set level = 0, failures = 0 from remembered r
  where b.account_id = r.account_id and b.budget = r.budget and b.subject = r.subject
),
audited as (
  insert into audit_events (${audit_columns})
  select i.account_id, i.event_id, i.now, i.action, i.outcome, s.id, coalesce(i.actor, s.user_id), i.context
  from spent s join input i using (n) where s.won
)
select f.n, f.pressed, f.client_lives, f.grant_lives, s.id is not null as won, f.fits, l.id is not null as locked,
  ${codeColumns("f")}, f.live_user_id, f.user_email, f.email_verified_at, f.user_phone_number,
  f.phone_verified_at, f.user_name, f.second_factor
from found f
  left join spent s on s.n = f.n and s.id = f.id and s.won
  left join locked l on l.id = f.id and l.account_id = f.account_id
order by f.n, s.id is not null desc, f.fits desc nulls last, l.id is not null desc, f.created_at desc`;
