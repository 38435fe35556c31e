import { audit_columns } from "../../audit/audit.ts";
import type { Row, SqliteConnection } from "../../storage/storage.ts";
import { type GuessWindow, nextWindow, wasCompared } from "./guess-window.ts";
import { codeColumns, foundCode, foundUser, livesColumns, USER_COLUMNS } from "./redeem-rows.ts";
import type { RedeemAnswer, RedeemInput } from "./redeem-statement.ts";

/** The same decisions as the PostgreSQL body, one after another: nothing else runs inside this savepoint. */
export function redeemOnSqlite(db: SqliteConnection, input: RedeemInput): RedeemAnswer {
  const rows = findRows(db, input);
  const client_lives = rows[0]?.client_lives === 1;
  const grant_lives = rows[0]?.grant_lives === 1;
  const pressed = rows[0]?.pressed === 1;
  const found = pressed ? [] : rows.filter(({ id }) => id !== null);
  const exhausted_until = exhaustedUntil(db, input);
  const numeric = input.kind === "numeric";
  const open = found.filter((row) => row.fits === 1 && isOpen(row, input));
  const mayLogIn = (row: Row) => (row.user_id === null ? row.signup === 1 && input.signup : row.live_user_id !== null);
  const right = client_lives && grant_lives ? open.find(mayLogIn) : undefined;
  const dead = (row: Row) => isAlive(row, input) && !isOpen(row, input);
  const wrong = numeric && exhausted_until === null && !found.some((row) => row.fits === 1 && !dead(row));
  const window = countGuess(db, input, wrong, right, windowOf(right ?? rows[0]));
  const compared = !numeric || window === null || wasCompared(window, { wrong, limit: input.guess_limit });
  if (right && compared) spend(db, input, right);
  if (wrong && compared) countOnCodes(db, input);
  const code = (compared ? right : undefined) ?? found[0];
  return {
    won: right !== undefined && compared,
    code: code ? foundCode(code) : null,
    fits: code?.fits === 1,
    locked: code !== undefined && isAlive(code, input),
    client_lives,
    grant_lives,
    user: code ? foundUser(code) : null,
    pressed,
    wrong,
    exhausted_until,
    window: numeric ? window : null,
  };
}

const FITS = `c.client_id = ?2 and c.audience = ?3 and (?4 is null or c.person in (?4, ?11))
  and (?5 is null or c.connections is null or instr(' ' || c.connections || ' ', ' ' || ?5 || ' ') > 0)`;

/** Texts by column and number of digests: few, and asked for with every request. */
const texts = new Map<string, string>();

function findText(column: "typed_digest" | "link_digest", digests: number): string {
  const name = `${column} ${digests}`;
  const known = texts.get(name) ?? findTextOf(column, digests);
  texts.set(name, known);
  return known;
}

/** Every answer that the decision needs in one row a code; one row without a code where nothing is found. */
function findTextOf(column: "typed_digest" | "link_digest", digests: number): string {
  const places = Array.from({ length: digests }, (_, index) => `unhex(?${index + 12})`).join(", ");
  return `
  select ${codeColumns("c")}, c.guesses, c.guess_limit, (${FITS}) as fits,
    ${livesColumns("?1", "?2", "?6")},
    ?7 = 1 and exists (select 1 from budgets where account_id = ?1 and budget = 'typable_pressure' and subject = ?2
      and window_ends_at > ?8) as pressed,
    ${USER_COLUMNS},
    b.count as guess_count, b.window_ends_at, b.level, b.failures
  from (select 1) one
  left join verification_codes c on c.account_id = ?1 and c.${column} in (${places}) and c.expires_at > ?9
  left join live_users u on u.account_id = ?1 and u.id = c.user_id
  left join budgets b on b.account_id = ?1 and b.budget = 'numeric_guess' and b.subject = coalesce(?10, c.person)`;
}

/** Best first: what fits before what does not, live before dead, new before old. */
function findRows(db: SqliteConnection, input: RedeemInput): Row[] {
  const column = input.kind === "link" ? "link_digest" : "typed_digest";
  const short = input.kind === "typable" && input.length === 10 && input.person === null;
  const parameters = [
    input.account_id,
    input.client_id,
    input.audience,
    input.person,
    input.connection,
    input.grant_id,
    short,
    input.now,
    input.remembered,
    input.kind === "numeric" ? input.person : null,
    input.former,
    ...input.digests,
  ] as const;
  const text = findText(column, input.digests.length);
  // A code that is strong enough to be presented alone names one row; a person may have two equal numeric ones.
  if (input.kind !== "numeric") return [db.one(text, ...parameters)].filter((row) => row !== undefined);
  const rows = db.all(text, ...parameters);
  const rank = (row: Row) => Number(row.fits) * 2 + (isAlive(row, input) ? 1 : 0);
  return rows.toSorted((a, b) => rank(b) - rank(a) || (String(a.created_at) < String(b.created_at) ? 1 : -1));
}

function isAlive(row: Row, { now }: RedeemInput): boolean {
  return row.spent_at === null && String(row.expires_at) > now;
}

/** Alive, and not dead by wrong guesses. */
function isOpen(row: Row, input: RedeemInput): boolean {
  return isAlive(row, input) && (input.kind !== "numeric" || Number(row.guesses) < Number(row.guess_limit));
}

const LIVE_NUMERIC = `account_id = ? and client_id = ? and audience = ? and person = ?
  and format = 'numeric' and spent_at is null and expires_at > ?`;

/** Of the live numeric codes of an input's person, by either name. */
function liveNumeric({ account_id, client_id, audience, person, former, now }: RedeemInput) {
  const named = former === "" ? [person] : [person, former];
  return named.map((name) => [account_id, client_id, audience, name, now] as const);
}

function exhaustedUntil(db: SqliteConnection, input: RedeemInput): string | null {
  if (input.kind !== "numeric") return null;
  const text = `select max(expires_at) as until, min(guesses - guess_limit) as least from verification_codes where ${LIVE_NUMERIC}`;
  const live = liveNumeric(input).flatMap((which) => db.all(text, ...which).filter(({ until }) => until !== null));
  if (live.length === 0 || live.some(({ least }) => Number(least) < 0)) return null;
  return live.map(({ until }) => String(until)).reduce((one, other) => (one > other ? one : other));
}

/** Counts a wrong guess, forgives after a right code that nothing follows; null where there is nothing to remember. */
function countGuess(
  db: SqliteConnection,
  input: RedeemInput,
  wrong: boolean,
  right: Row | undefined,
  before: GuessWindow | undefined,
): GuessWindow | null {
  const strong = input.kind !== "numeric";
  const person = strong ? right?.person : input.person;
  if (typeof person !== "string") return null;
  const succeeds = right !== undefined && right.second_factor !== 1;
  if (strong && !(succeeds && before && (before.level > 0 || before.failures > 0))) return null;
  const step = { now: input.now, limit: input.guess_limit, wrong, right: succeeds, strong };
  const next = nextWindow(before, step);
  db.run(
    `insert into budgets (account_id, budget, subject, count, window_ends_at, level, failures)
     values (?1, 'numeric_guess', ?2, ?3, ?4, ?5, ?6)
     on conflict (account_id, budget, subject) do update set count = ?3, window_ends_at = ?4, level = ?5, failures = ?6`,
    input.account_id,
    person,
    next.count,
    next.window_ends_at,
    next.level,
    next.failures,
  );
  return next;
}

function windowOf(row: Row | undefined): GuessWindow | undefined {
  if (!row || row.guess_count === null) return undefined;
  const { guess_count, window_ends_at, level, failures } = row;
  return {
    count: Number(guess_count),
    window_ends_at: String(window_ends_at),
    level: Number(level),
    failures: Number(failures),
  };
}

/** Success spends all live codes of that person, client and audience. */
function spend(db: SqliteConnection, input: RedeemInput, { id, person, user_id }: Row): void {
  db.run(
    `update verification_codes set spent_at = ?1, redeemed_by = case when id = ?2 then ?3 end
     where account_id = ?4 and client_id = ?5 and audience = ?6 and person = ?7 and spent_at is null and expires_at > ?1`,
    input.now,
    String(id),
    input.attempt,
    input.account_id,
    input.client_id,
    input.audience,
    String(person),
  );
  const { event } = input;
  db.run(
    `insert into audit_events (${audit_columns}) values (?, ?, ?, ?, ?, ?, ?, ?)`,
    event.account_id,
    event.id,
    event.created_at,
    event.action,
    event.outcome,
    String(id),
    event.actor ?? (user_id as string | null),
    event.context,
  );
}

function countOnCodes(db: SqliteConnection, input: RedeemInput): void {
  const text = `update verification_codes set guesses = guesses + 1 where ${LIVE_NUMERIC}`;
  for (const which of liveNumeric(input)) db.run(text, ...which);
}
