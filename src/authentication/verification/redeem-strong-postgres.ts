import { audit_columns } from "../../audit/audit.ts";
import { rewrite, rowIs, rowOf } from "../../storage/by-key.ts";
import {
  codeColumns,
  codesNamed,
  FITS,
  INPUT_POSTGRES,
  LIVES_POSTGRES,
  lockedPostgres,
  USER_COLUMNS,
  userOf,
} from "./redeem-rows.ts";

const PRESSURE = { account_id: "i.account_id", budget: "'typable_pressure'", subject: "i.client_id" };
const PRESSED = `i.length = 10 and i.person is null and ${rowIs("budgets b", PRESSURE, "b.window_ends_at > i.now")}`;

/**
 * Typable codes and links: nothing is counted before they are compared. One row for each row that a presented code names,
 * or one without a code where it names none.
 *
 * A login (client, audience and person) is named by the first input that presents a code of it.
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
    left join lateral (
      select c.* ${codesNamed(
        kind === "typable" ? "typed_digest" : "link_digest",
        "c.expires_at > i.remembered and not i.pressed",
      )}
    ) c on true
    left join ${userOf("i.account_id", "c.user_id")} on true
),
logins as materialized (
  select min(n) as login, account_id, client_id, audience, person from found
  where fits and spent_at is null
  group by account_id, client_id, audience, person
),
${lockedPostgres("logins", ["login"])},
winner as materialized (
  select distinct on (l.login) l.login, f.n, f.account_id, f.id, f.person, f.attempt, f.now, f.second_factor
  from found f join locked l on l.id = f.id and l.account_id = f.account_id
  where f.fits and f.client_lives and f.grant_lives and f.expires_at > f.now and f.may_log_in
  order by l.login, f.n
),
spent as (
  ${rewrite("verification_codes", "l", "locked l join winner w on w.login = l.login", {
    spent_at: "w.now",
    redeemed_by: "case when w.id = l.id then w.attempt else l.redeemed_by end",
  })}
  returning account_id, id, user_id
),
-- A success, which no second factor follows, ends the memory of wrong numeric guesses. Every code is locked before the
-- first budget is.
remembered as materialized (
  select b.* from (
      select account_id, person from winner where second_factor is distinct from 1
      group by account_id, person order by account_id, person
    ) w
    cross join lateral (
      select b.* ${rowOf(
        "budgets b",
        { account_id: "w.account_id", budget: "'numeric_guess'", subject: "w.person" },
        "b.level > 0 or b.failures > 0",
      )}
      for update of b
    ) b
),
forgiven as (
  ${rewrite("budgets", "r", "remembered r", { level: "0", failures: "0" }, "account_id, budget, subject")}
),
audited as (
  insert into audit_events (${audit_columns})
  select i.account_id, i.event_id, i.now, i.action, i.outcome, s.id, coalesce(i.actor, s.user_id), i.context
  from winner w join spent s on s.account_id = w.account_id and s.id = w.id join input i on i.n = w.n
)
select f.n, f.pressed, f.client_lives, f.grant_lives, s.id is not null as won, f.fits, l.id is not null as locked,
  ${codeColumns("f")}, f.live_user_id, f.user_email, f.email_verified_at, f.user_phone_number,
  f.phone_verified_at, f.user_name, f.second_factor
from found f
  left join winner w on w.n = f.n and w.id = f.id
  left join spent s on s.account_id = w.account_id and s.id = w.id
  left join locked l on l.id = f.id and l.account_id = f.account_id
order by f.n, s.id is not null desc, f.fits desc nulls last, l.id is not null desc, f.created_at desc`;
