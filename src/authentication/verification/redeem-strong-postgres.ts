import { audit_columns } from "../../audit/audit.ts";
import { CODE_COLUMNS, FITS, INPUT_POSTGRES, LIVES_POSTGRES, USER_COLUMNS } from "./redeem-rows.ts";

const PRESSED = `i.length = 10 and i.person is null and exists (
    select from budgets b where b.account_id = i.account_id and b.budget = 'typable_pressure'
      and b.subject = i.client_id and b.window_ends_at > i.now)`;

/**
 * Typable codes and links: nothing is counted before they are compared. One row for each row that a presented code names,
 * or one without a code where it names none.
 *
 * Every login (client, audience and person) gets a number: joins of small sets have no plan but every row with every row, and
 * there a number costs a tenth of four texts.
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
    i.event_id, i.action, i.outcome, i.actor, i.context,
    c.audience, (${FITS}) as fits, ${CODE_COLUMNS.replaceAll(/\b(\w+)/g, "c.$1")}, ${USER_COLUMNS},
    case when c.user_id is null then c.signup = 1 and i.signup = 1 else u.id is not null end as may_log_in,
    dense_rank() over (order by c.account_id, c.client_id, c.audience, c.person) as login
  from asked i join digest d using (n)
    left join verification_codes c on c.account_id = i.account_id and c.${kind === "typable" ? "typed_digest" : "link_digest"} = d.digest
      and c.expires_at > i.remembered and not i.pressed
    left join live_users u on u.account_id = i.account_id and u.id = c.user_id
),
-- All live codes of these logins as they are now, held until the commit.
locked as materialized (
  select c.account_id, c.id, g.login
  from (select distinct login, account_id, client_id, audience, person from found where fits and spent_at is null) g
    join verification_codes c using (account_id, client_id, audience, person)
  where c.spent_at is null and c.expires_at > (select min(now) from input)
  order by c.account_id, c.id
  for update of c
),
winner as materialized (
  select distinct on (f.login) f.login, f.n, f.account_id, f.id, f.person, f.attempt, f.now,
    f.event_id, f.action, f.outcome, f.actor, f.context
  from found f join locked l on l.login = f.login and l.id = f.id
  where f.fits and f.client_lives and f.grant_lives and f.expires_at > f.now and f.may_log_in
  order by f.login, f.n
),
spent as (
  update verification_codes c set
    spent_at = w.now, redeemed_by = case when w.id = c.id then w.attempt else c.redeemed_by end
  from locked l join winner w on w.login = l.login
  where c.account_id = l.account_id and c.id = l.id and c.spent_at is null
  returning w.n, w.id = c.id as won
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
  from winner w join spent s on s.n = w.n and s.won
)
select f.n, f.pressed, f.client_lives, f.grant_lives, w.id is not null as won, f.fits, l.id is not null as locked,
  ${CODE_COLUMNS.replaceAll(/\b(\w+)/g, "f.$1")}, f.live_user_id, f.user_email, f.email_verified_at, f.user_phone_number,
  f.phone_verified_at, f.user_name, f.second_factor
from found f
  left join spent s on s.n = f.n and s.won
  left join winner w on w.n = s.n and w.id = f.id
  left join locked l on l.login = f.login and l.id = f.id
order by f.n, f.id = w.id desc nulls last, f.fits desc nulls last, l.id is not null desc, f.created_at desc`;
