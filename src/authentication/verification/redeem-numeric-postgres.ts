import { audit_columns } from "../../audit/audit.ts";
import { userLives } from "../../directory/lives.ts";
import { FAILURES_LIMIT, NOT_BEGUN } from "./guess-window.ts";
import { codeColumns, FITS, INPUT_POSTGRES, LIVES_POSTGRES, USER_COLUMNS } from "./redeem-rows.ts";

/** May this row log somebody in: its user lives, or it signs one up where the client allows that. */
const MAY_LOG_IN = `case when l.user_id is null then l.signup = 1 and i.signup = 1
  else ${userLives("l.account_id", "l.user_id")} end`;

/** No second factor is asked of this row's user, or of whom it signs up. Not by an exists, whose plan may read all users. */
const IS_ALL = `(select u.second_factor from live_users u where u.account_id = l.account_id and u.id = l.user_id) is distinct from 1`;

/** The row that a presented code is judged by, its user, and whether this statement holds it. */
const FATE = `
left join winner w on w.n = i.n
left join spent s on s.account_id = w.account_id and s.id = w.id and s.redeemed_by = w.attempt
left join lateral (
  select * from found f where f.n = i.n
  order by f.id = w.id desc nulls last, f.fits desc, f.spent_at is null and f.expires_at > i.now desc, f.created_at desc
  limit 1
) f on true
left join locked l on l.account_id = f.account_id and l.id = f.id
left join live_users u on u.account_id = f.account_id and u.id = f.user_id
order by i.n`;

const ANSWER_COLUMNS = `i.client_lives, i.grant_lives, s.id is not null as won, f.fits, l.id is not null as locked,
  ${codeColumns("f")}, ${USER_COLUMNS}`;

/** Numeric codes: the guess is counted against the person before it is compared. */
export const REDEEM_NUMERIC_POSTGRES = `
with ${INPUT_POSTGRES},
asked as materialized (
  select i.*, ${LIVES_POSTGRES}
  from input i
),
-- What the presented codes name, spent and expired rows included, as it was when the statement began.
found as materialized (
  select i.n, (${FITS}) as fits, c.*
  from asked i join digest d using (n)
    join verification_codes c on c.account_id = i.account_id and c.typed_digest = d.digest
  where c.expires_at > i.remembered
),
-- The logins that an input is about: those of its person, by either name.
named as materialized (
  select i.n, i.account_id, i.client_id, i.audience, p.person
  from asked i cross join lateral (values (i.person), (i.former)) p (person)
  where p.person <> ''
),
login as materialized (
  select distinct account_id, client_id, audience, person from named
),
-- All live codes of these logins as they are now, held until the commit.
locked as materialized (
  select c.* from login g join verification_codes c using (account_id, client_id, audience, person)
  where c.spent_at is null and c.expires_at > (select min(now) from input)
  order by c.account_id, c.id
  for update of c
),
judged as materialized (
  select i.*, r.id as right_id, r.is_all, e.until as exhausted_until,
    case when e.until is null and not exists (
      select from found f left join locked l on l.account_id = f.account_id and l.id = f.id
      where f.n = i.n and f.fits and (l.id is null or l.expires_at <= i.now or l.guesses < l.guess_limit)
    ) then 1 else 0 end as wrong
  from asked i
  left join lateral (
    select l.id, ${IS_ALL} as is_all from found f join locked l on l.account_id = f.account_id and l.id = f.id
    where f.n = i.n and f.fits and i.client_lives and i.grant_lives and l.expires_at > i.now
      and l.guesses < l.guess_limit
      and ${MAY_LOG_IN}
    order by l.id limit 1
  ) r on true
  left join lateral (
    select max(l.expires_at) as until from locked l
    where l.format = 'numeric' and l.account_id = i.account_id and l.client_id = i.client_id
      and l.audience = i.audience and l.person in (i.person, i.former) and l.expires_at > i.now
    having min(l.guesses - l.guess_limit) >= 0
  ) e on true
  -- Every code is locked before the first budget is.
  where (select count(*) from locked) >= 0
),
touching as materialized (
  select account_id, person, max(wrong) as wrong, max(case when is_all then 1 else 0 end) as succeeds,
    max(guess_limit) as guess_limit, max(now) as now, max(window_ends) as window_ends
  from judged
  group by account_id, person
),
touched as (
  insert into budgets (account_id, budget, subject, count, window_ends_at, level, failures)
  select t.account_id, 'numeric_guess', t.person, t.wrong,
    case when t.wrong = 1 then split_part(t.window_ends, ' ', 1) else '${NOT_BEGUN}' end,
    case when t.wrong >= t.guess_limit and t.succeeds = 0 then 1 else 0 end,
    case when t.succeeds = 1 then 0 else t.wrong end
  from touching t order by t.account_id, t.person
  on conflict (account_id, budget, subject) do update set (count, window_ends_at, level, failures) = (
    select
      case when s.shut and t.wrong = 1 then greatest(budgets.count, t.guess_limit) + 1
        when s.shut then budgets.count else s.place end,
      case when t.wrong = 1 and not s.shut and not s.open
        then split_part(t.window_ends, ' ', least(budgets.level, 5)::int + 1) else budgets.window_ends_at end,
      case when s.forgiven then 0 when t.wrong = 1 and not s.shut and s.place >= t.guess_limit
        then budgets.level + 1 else budgets.level end,
      case when s.forgiven then 0 when s.shut then budgets.failures else budgets.failures + t.wrong end
    from touching t cross join lateral (
      select o.*, (case when o.open then budgets.count else 0 end) + t.wrong as place,
        t.succeeds = 1 and not o.shut as forgiven
      from (select budgets.window_ends_at > t.now as open,
        budgets.failures >= ${FAILURES_LIMIT} or (budgets.window_ends_at > t.now and budgets.count >= t.guess_limit) as shut) o
    ) s
    where t.account_id = excluded.account_id and t.person = excluded.subject)
  returning account_id, subject, count, window_ends_at, level, failures
),
compared as materialized (
  select j.*, t.count, t.window_ends_at, t.level, t.failures,
    case when j.wrong = 1 then t.count <= j.guess_limit
      else t.count < j.guess_limit and t.failures < ${FAILURES_LIMIT} end as compared
  from judged j left join touched t on t.account_id = j.account_id and t.subject = j.person
),
winner as materialized (
  select distinct on (l.account_id, l.client_id, l.audience, l.person)
    l.account_id, l.client_id, l.audience, l.person, l.id, i.n, i.attempt, i.now
  from compared i join locked l on l.account_id = i.account_id and l.id = i.right_id
  where i.compared
  order by l.account_id, l.client_id, l.audience, l.person, i.n
),
guessed as materialized (
  select d.account_id, d.client_id, d.audience, d.person, count(*) as guesses
  from compared i join named d using (n)
  where i.wrong = 1 and i.compared
  group by d.account_id, d.client_id, d.audience, d.person
),
spent as (
  update verification_codes c set
    spent_at = case when w.n is null then c.spent_at else w.now end,
    redeemed_by = case when w.id = c.id then w.attempt else c.redeemed_by end,
    guesses = c.guesses + case when l.format = 'numeric' then coalesce(g.guesses, 0) else 0 end
  from locked l
    left join winner w using (account_id, client_id, audience, person)
    left join guessed g using (account_id, client_id, audience, person)
  where c.account_id = l.account_id and c.id = l.id and c.spent_at is null
    and (w.n is not null or (g.guesses is not null and l.format = 'numeric'))
  returning c.account_id, c.id, c.user_id, c.redeemed_by
),
audited as (
  insert into audit_events (${audit_columns})
  select i.account_id, i.event_id, i.now, i.action, i.outcome, w.id, coalesce(i.actor, s.user_id), i.context
  from winner w join input i using (n)
    join spent s on s.account_id = w.account_id and s.id = w.id and s.redeemed_by = w.attempt
)
select i.n, false as pressed, i.wrong, i.exhausted_until, i.count, i.window_ends_at, i.level, i.failures,
  ${ANSWER_COLUMNS}
from compared i ${FATE}`;
