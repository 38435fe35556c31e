import { clientLives, grantLives } from "../../directory/lives.ts";
import { ONE, setForm } from "../../storage/set-form.ts";
import type { Bindable, Row } from "../../storage/storage.ts";
import type { FoundCode, FoundUser, RedeemAnswer, RedeemInput } from "./redeem-statement.ts";

/** What a redemption sends; the digests follow, since an input has several. */
const columns = [
  ...(["kind", "account_id", "client_id", "audience", "grant_id", "person", "former", "length"] as const),
  ...(["connection", "attempt", "signup", "now", "remembered", "guess_limit", "window_ends"] as const),
  ...(["event_id", "action", "outcome", "actor", "context"] as const),
] as const;
const form = setForm(columns, ["length", "signup", "guess_limit"]);
const after = columns.length;

/** CTEs that every redemption begins with. */
export const INPUT_POSTGRES = `
${form.input},
digest as materialized (
  select * from unnest($${after + 1}::bigint[], $${after + 2}::bytea[]) as digest (n, digest)
  where ${ONE}
)`;

const CODE_COLUMNS =
  "id client_id person user_id format connections signup email phone_number created_at expires_at spent_at redeemed_by";

/** What `foundCode` reads, of a table or CTE by its name in the statement. */
export const codeColumns = (of: string): string =>
  CODE_COLUMNS.split(" ")
    .map((column) => `${of}.${column}`)
    .join(", ");

export const FITS = `c.client_id = i.client_id and c.audience = i.audience
  and (i.person is null or c.person in (i.person, i.former))
  and (i.connection is null or c.connections is null or strpos(' ' || c.connections || ' ', ' ' || i.connection || ' ') > 0)`;

/** Who has to live for a code to be spent. */
export const livesColumns = (account_id: string, client_id: string, grant_id: string): string => `
  ${clientLives(account_id, client_id)} as client_lives,
  ${grantLives(account_id, client_id, grant_id, "and type <> 'client_credentials'")} as grant_lives`;

export const LIVES_POSTGRES = livesColumns("i.account_id", "i.client_id", "i.grant_id");

/** What `foundUser` reads. */
export const USER_COLUMNS = `u.id as live_user_id, u.email as user_email, u.email_verified_at, u.phone_number as user_phone_number,
  u.phone_verified_at, u.name as user_name, u.second_factor`;

export function parametersOf(inputs: readonly RedeemInput[]): readonly (readonly Bindable[])[] {
  const rows = inputs.map(({ event, ...input }) => ({
    ...event,
    ...input,
    event_id: event.id,
    signup: input.signup ? 1 : 0,
    window_ends: input.window_ends.join(" "),
  }));
  const digests = inputs.flatMap((input, index) => input.digests.map((digest) => ({ n: index + 1, digest })));
  return [...form.parameters(rows), digests.map(({ n }) => n), digests.map(({ digest }) => `\\x${digest}`)];
}

/** The first row of each input decides; rows are ordered by their input's place. */
export function answersOf(rows: readonly Row[], inputs: readonly RedeemInput[]): readonly RedeemAnswer[] {
  const first = rows.filter((row, index) => row.n !== rows[index - 1]?.n);
  if (first.length !== inputs.length) throw new Error("redeem_code answered another number of rows than it was asked");
  return first.map((row, index) => answerOf(row, inputs[index]?.kind === "numeric"));
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
    user: foundUser(row),
    pressed: row.pressed === true,
    wrong: row.wrong === 1,
    exhausted_until: numeric ? text("exhausted_until") : null,
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

/** The live user beside a code. */
export function foundUser(row: Row): FoundUser | null {
  if (row.live_user_id === null) return null;
  const text = (name: string) => row[name] as string | null;
  return {
    id: String(row.live_user_id),
    email: text("user_email"),
    email_verified_at: text("email_verified_at"),
    phone_number: text("user_phone_number"),
    phone_verified_at: text("phone_verified_at"),
    name: text("user_name"),
    second_factor: Number(row.second_factor),
  };
}
