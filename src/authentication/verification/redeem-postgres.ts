import { audit_columns } from "../../audit/audit.ts";
import type { Bindable, Row } from "../../storage/storage.ts";
import { FAILURES_LIMIT } from "./guess-window.ts";
import type { FoundCode, RedeemAnswer, RedeemInput } from "./redeem-statement.ts";

const INPUT = {
  kind: "text",
  account_id: "text",
  client_id: "text",
  audience: "text",
  grant_id: "text",
  person: "text",
  length: "bigint",
  connection: "text",
  attempt: "text",
  signup: "bigint",
  now: "text",
  remembered: "text",
  guess_limit: "bigint",
  window_ends: "text",
  event_id: "text",
  action: "text",
  outcome: "text",
  actor: "text",
  context: "text",
} as const;

const names = Object.keys(INPUT);
const arrays = Object.values(INPUT).map((type, index) => `$${index + 1}::${type}[]`);
const after = names.length;

const CODE_COLUMNS =
  "id, client_id, person, user_id, format, connections, signup, email, phone_number, created_at, expires_at, spent_at, redeemed_by";

const FITS = `c.client_id = i.client_id and c.audience = i.audience and (i.person is null or c.person = i.person)
  and (i.connection is null or c.connections is null or strpos(' ' || c.connections || ' ', ' ' || i.connection || ' ') > 0)`;

const found = (column: string, kinds: string) => `
  select i.n, (${FITS}) as fits, c.*
  from asked i join digest d using (n) join verification_codes c on c.account_id = i.account_id and c.${column} = d.digest
  where not i.pressed and i.kind in (${kinds}) and c.expires_at > i.remembered`;

export const REDEEM_POSTGRES = `
with input as materialized (
  select * from unnest(${arrays.join(", ")}) with ordinality as input (${names.join(", ")}, n)
),
digest as materialized (
  select * from unnest($${after + 1}::bigint[], $${after + 2}::bytea[]) as digest (n, digest)
),
asked as materialized (
  select i.*,
    i.kind = 'typable' and i.length = 10 and i.person is null and exists (
      select from budgets b where b.account_id = i.account_id and b.budget = 'typable_pressure'
        and b.subject = i.client_id and b.window_ends_at > i.now) as pressed,
    exists (select from live_clients l where l.account_id = i.account_id and l.id = i.client_id) as client_lives,
    exists (select from live_grants l where l.account_id = i.account_id and l.id = i.grant_id and l.client_id = i.client_id
      and l.type in ('any', 'authorization_code')) as grant_lives
  from input i
),
-- What the presented codes name, spent and expired rows included, as it was when the statement began.
found as materialized (${found("typed_digest", "'typable', 'numeric'")}
  union all ${found("link_digest", "'link'")}
),
login as materialized (
  select account_id, client_id, audience, person from asked where kind = 'numeric'
  union
  select account_id, client_id, audience, person from found where fits and spent_at is null
),
-- All live codes of these logins as they are now, held until the commit.
locked as materialized (
  select c.* from login g join verification_codes c using (account_id, client_id, audience, person)
  where c.spent_at is null and c.expires_at > (select min(now) from input)
  order by c.account_id, c.id
  for update of c
),
judged as materialized (
  select i.*, r.id as right_id, r.person as right_person, e.until as exhausted_until,
    case when i.kind = 'numeric' and e.until is null and not exists (
      select from found f left join locked l on l.account_id = f.account_id and l.id = f.id
      where f.n = i.n and f.fits and (l.id is null or l.expires_at <= i.now or l.guesses < l.guess_limit)
    ) then 1 else 0 end as wrong
  from asked i
  left join lateral (
    select l.id, l.person from found f join locked l on l.account_id = f.account_id and l.id = f.id
    where f.n = i.n and f.fits and i.client_lives and i.grant_lives and l.expires_at > i.now
      and (i.kind <> 'numeric' or l.guesses < l.guess_limit)
      and case when l.user_id is null then l.signup = 1 and i.signup = 1
        else exists (select from live_users u where u.account_id = l.account_id and u.id = l.user_id) end
    order by l.id limit 1
  ) r on true
  left join lateral (
    select max(l.expires_at) as until from locked l
    where i.kind = 'numeric' and l.format = 'numeric' and l.account_id = i.account_id and l.client_id = i.client_id
      and l.audience = i.audience and l.person = i.person and l.expires_at > i.now
    having min(l.guesses - l.guess_limit) >= 0
  ) e on true
  -- Every code is locked before the first budget is.
  where (select count(*) from locked) >= 0
),
touching as materialized (
  select account_id, person, max(wrong) as wrong, max(is_right) as is_right, max(strong) as strong,
    max(guess_limit) as guess_limit, max(now) as now, max(window_ends) as window_ends
  from (
    select account_id, person, wrong, case when right_id is null then 0 else 1 end as is_right, 0 as strong,
      guess_limit, now, window_ends
    from judged where kind = 'numeric'
    union all
    select j.account_id, j.right_person, 0, 1, 1, j.guess_limit, j.now, j.window_ends
    from judged j join budgets b
      on b.account_id = j.account_id and b.budget = 'numeric_guess' and b.subject = j.right_person
    where j.kind <> 'numeric' and j.right_id is not null and (b.level > 0 or b.failures > 0)
  ) step
  group by account_id, person
),
touched as (
  insert into budgets (account_id, budget, subject, count, window_ends_at, level, failures)
  select t.account_id, 'numeric_guess', t.person, t.wrong,
    case when t.wrong = 1 then split_part(t.window_ends, ' ', 1) else t.now end,
    case when t.wrong >= t.guess_limit and t.is_right = 0 then 1 else 0 end,
    case when t.is_right = 1 then 0 else t.wrong end
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
        t.is_right = 1 and (t.strong = 1 or not o.shut) as forgiven
      from (select budgets.window_ends_at > t.now as open,
        budgets.failures >= ${FAILURES_LIMIT} or (budgets.window_ends_at > t.now and budgets.count >= t.guess_limit) as shut) o
    ) s
    where t.account_id = excluded.account_id and t.person = excluded.subject)
  returning account_id, subject, count, window_ends_at, level, failures
),
compared as materialized (
  select j.*, t.count, t.window_ends_at, t.level, t.failures,
    case when j.kind <> 'numeric' then true when j.wrong = 1 then t.count <= j.guess_limit
      else t.count < j.guess_limit and t.failures < ${FAILURES_LIMIT} end as compared
  from judged j left join touched t on j.kind = 'numeric' and t.account_id = j.account_id and t.subject = j.person
),
winner as materialized (
  select distinct on (l.account_id, l.client_id, l.audience, l.person)
    l.account_id, l.client_id, l.audience, l.person, l.id, i.n, i.attempt, i.now
  from compared i join locked l on l.account_id = i.account_id and l.id = i.right_id
  where i.compared
  order by l.account_id, l.client_id, l.audience, l.person, i.n
),
spent as (
  update verification_codes c set
    spent_at = case when w.n is null then c.spent_at else w.now end,
    redeemed_by = case when w.id = c.id then w.attempt else c.redeemed_by end,
    guesses = c.guesses + case when g.n is not null and l.format = 'numeric' then 1 else 0 end
  from locked l
    left join winner w using (account_id, client_id, audience, person)
    left join (select * from compared where wrong = 1 and compared) g using (account_id, client_id, audience, person)
  where c.account_id = l.account_id and c.id = l.id and c.spent_at is null
    and (w.n is not null or (g.n is not null and l.format = 'numeric'))
  returning c.account_id, c.id, c.redeemed_by
),
audited as (
  insert into audit_events (${audit_columns})
  select i.account_id, i.event_id, i.now, i.action, i.outcome, w.id, i.actor, i.context
  from winner w join input i using (n)
    join spent s on s.account_id = w.account_id and s.id = w.id and s.redeemed_by = w.attempt
)
select i.n, i.pressed, i.client_lives, i.grant_lives, i.wrong, i.exhausted_until,
  i.count, i.window_ends_at, i.level, i.failures, s.id is not null as won,
  f.fits, l.id is not null as locked, ${CODE_COLUMNS.replaceAll(/\b(\w+)/g, "f.$1")},
  u.id as live_user_id, u.email as user_email, u.email_verified_at, u.phone_number as user_phone_number,
  u.phone_verified_at, u.name as user_name
from compared i
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

export function parametersOf(inputs: readonly RedeemInput[]): readonly (readonly Bindable[])[] {
  const rows = inputs.map((input) => [
    input.kind,
    input.account_id,
    input.client_id,
    input.audience,
    input.grant_id,
    input.person,
    input.length,
    input.connection,
    input.attempt,
    input.signup ? 1 : 0,
    input.now,
    input.remembered,
    input.guess_limit,
    input.window_ends.join(" "),
    input.event.id,
    input.event.action,
    input.event.outcome,
    input.event.actor,
    JSON.stringify(input.event.context),
  ]);
  const columns = names.map((_, column) => rows.map((row) => row[column] ?? null));
  const digests = inputs.flatMap((input, index) => input.digests.map((digest) => ({ n: index + 1, digest })));
  return [...columns, digests.map(({ n }) => n), digests.map(({ digest }) => digest)];
}

export function answersOf(rows: readonly Row[], inputs: readonly RedeemInput[]): readonly RedeemAnswer[] {
  if (rows.length !== inputs.length) throw new Error("redeem_code answered another number of rows than it was asked");
  return rows.map((row, index) => answerOf(row, inputs[index]?.kind === "numeric"));
}

function answerOf(row: Row, numeric: boolean): RedeemAnswer {
  const text = (name: string) => row[name] as string | null;
  return {
    won: row.won === true,
    code: row.id === null ? null : foundCode(row),
    fits: row.fits === true,
    locked: row.locked === true,
    client_lives: row.client_lives === true,
    grant_lives: row.grant_lives === true,
    user:
      row.live_user_id === null
        ? null
        : {
            id: String(row.live_user_id),
            email: text("user_email"),
            email_verified_at: text("email_verified_at"),
            phone_number: text("user_phone_number"),
            phone_verified_at: text("phone_verified_at"),
            name: text("user_name"),
          },
    pressed: row.pressed === true,
    wrong: row.wrong === 1,
    exhausted_until: text("exhausted_until"),
    window: numeric
      ? {
          count: Number(row.count),
          window_ends_at: String(row.window_ends_at),
          level: Number(row.level),
          failures: Number(row.failures),
        }
      : null,
  };
}

export function foundCode(row: Row): FoundCode {
  const text = (name: string) => row[name] as string | null;
  return {
    id: String(row.id),
    client_id: String(row.client_id),
    person: String(row.person),
    user_id: text("user_id"),
    format: String(row.format),
    connections: text("connections"),
    signup: Number(row.signup) === 1,
    email: text("email"),
    phone_number: text("phone_number"),
    created_at: String(row.created_at),
    expires_at: String(row.expires_at),
    spent_at: text("spent_at"),
    redeemed_by: text("redeemed_by"),
  };
}
