import { audit_columns } from "../../audit/audit.ts";
import type { Bindable, Row, SqliteConnection } from "../../storage/storage.ts";
import { type GuessWindow, nextWindow, wasCompared } from "./guess-window.ts";
import { foundCode } from "./redeem-postgres.ts";
import type { FoundUser, RedeemAnswer, RedeemInput } from "./redeem-statement.ts";

/** The same decisions as the PostgreSQL body, one after another: nothing else runs inside this savepoint. */
export function redeemOnSqlite(db: SqliteConnection, input: RedeemInput): RedeemAnswer {
  const client_lives = exists(db, "live_clients where account_id = ? and id = ?", input.account_id, input.client_id);
  const grant_lives = grantLives(db, input);
  const pressed = isPressed(db, input);
  const found = pressed ? [] : findRows(db, input);
  const exhausted_until = exhaustedUntil(db, input);
  const numeric = input.kind === "numeric";
  const open = found.filter((row) => row.fits === 1 && isOpen(row, input));
  const user = (row: Row | undefined) => (row?.user_id ? findUser(db, input.account_id, String(row.user_id)) : null);
  const mayLogIn = (row: Row) => (row.user_id === null ? row.signup === 1 && input.signup : user(row) !== null);
  const right = client_lives && grant_lives ? open.find(mayLogIn) : undefined;
  const dead = (row: Row) => isAlive(row, input) && !isOpen(row, input);
  const wrong = numeric && exhausted_until === null && !found.some((row) => row.fits === 1 && !dead(row));
  const window = countGuess(db, input, wrong, right);
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
    user: user(code),
    pressed,
    wrong,
    exhausted_until,
    window: numeric ? window : null,
  };
}

function exists(db: SqliteConnection, condition: string, ...parameters: readonly Bindable[]): boolean {
  return db.all(`select 1 from ${condition}`, ...parameters).length > 0;
}

function grantLives(db: SqliteConnection, { account_id, grant_id, client_id }: RedeemInput): boolean {
  const condition =
    "live_grants where account_id = ? and id = ? and client_id = ? and type in ('any', 'authorization_code')";
  return exists(db, condition, account_id, grant_id, client_id);
}

function isPressed(db: SqliteConnection, input: RedeemInput): boolean {
  if (input.kind !== "typable" || input.length !== 10 || input.person !== null) return false;
  const condition =
    "budgets where account_id = ? and budget = 'typable_pressure' and subject = ? and window_ends_at > ?";
  return exists(db, condition, input.account_id, input.client_id, input.now);
}

const FITS = `client_id = ?2 and audience = ?3 and (?4 is null or person = ?4)
  and (?5 is null or connections is null or instr(' ' || connections || ' ', ' ' || ?5 || ' ') > 0)`;

/** Best first: what fits before what does not, live before dead, new before old. */
function findRows(db: SqliteConnection, input: RedeemInput): Row[] {
  const column = input.kind === "link" ? "link_digest" : "typed_digest";
  const rows = input.digests.flatMap((digest) =>
    db.all(
      `select *, (${FITS}) as fits from verification_codes where account_id = ?1 and ${column} = ?6 and expires_at > ?7`,
      input.account_id,
      input.client_id,
      input.audience,
      input.person,
      input.connection,
      digest,
      input.remembered,
    ),
  );
  const rank = (row: Row) => Number(row.fits) * 2 + (isAlive(row, input) ? 1 : 0);
  return rows.sort((a, b) => rank(b) - rank(a) || (String(a.created_at) < String(b.created_at) ? 1 : -1));
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

function exhaustedUntil(db: SqliteConnection, input: RedeemInput): string | null {
  if (input.kind !== "numeric") return null;
  const [row] = db.all(
    `select max(expires_at) as until from verification_codes where ${LIVE_NUMERIC} having min(guesses - guess_limit) >= 0`,
    input.account_id,
    input.client_id,
    input.audience,
    input.person,
    input.now,
  );
  return row ? (row.until as string | null) : null;
}

/** Counts a wrong guess, forgives after a right code; null where there is nothing to remember. */
function countGuess(
  db: SqliteConnection,
  input: RedeemInput,
  wrong: boolean,
  right: Row | undefined,
): GuessWindow | null {
  const strong = input.kind !== "numeric";
  const person = strong ? right?.person : input.person;
  if (typeof person !== "string") return null;
  const before = findWindow(db, input.account_id, person);
  if (strong && !(before && (before.level > 0 || before.failures > 0))) return null;
  const step = { now: input.now, limit: input.guess_limit, wrong, right: right !== undefined, strong };
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

function findWindow(db: SqliteConnection, account_id: string, person: string): GuessWindow | undefined {
  const [row] = db.all(
    `select count, window_ends_at, level, failures from budgets
     where account_id = ? and budget = 'numeric_guess' and subject = ?`,
    account_id,
    person,
  );
  return row as GuessWindow | undefined;
}

/** Success spends all live codes of that person, client and audience. */
function spend(db: SqliteConnection, input: RedeemInput, { id, person }: Row): void {
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
    event.actor,
    JSON.stringify(event.context),
  );
}

function countOnCodes(db: SqliteConnection, input: RedeemInput): void {
  db.run(
    `update verification_codes set guesses = guesses + 1 where ${LIVE_NUMERIC}`,
    input.account_id,
    input.client_id,
    input.audience,
    input.person,
    input.now,
  );
}

function findUser(db: SqliteConnection, account_id: string, id: string): FoundUser | null {
  const [row] = db.all(
    `select id, email, email_verified_at, phone_number, phone_verified_at, name from live_users where account_id = ? and id = ?`,
    account_id,
    id,
  );
  return (row as FoundUser | undefined) ?? null;
}
