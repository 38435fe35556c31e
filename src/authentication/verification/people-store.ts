/** The people that codes are for: whom an identifier names, what is known of them, and wrong guesses at their codes. */
import type { UserType } from "../../directory/clients/client.ts";
import { EXTERNAL } from "../../directory/users/account-user.ts";
import type { Identifier } from "../../directory/users/identifier.ts";
import type { Database } from "../../storage/storage.ts";
import type { GuessWindow } from "./guess-window.ts";

/** A live user; only verified addresses and numbers, and only a number that nobody shares. */
export interface KnownUser {
  readonly id: string;
  readonly email: string | null;
  readonly phone_number: string | null;
  /** The account's own provider logs them in. */
  readonly external: boolean;
}

const identifying = {
  email: "email_canonical",
  phone_number: "phone_number",
  user_id: "id",
} as const;

const verifying = { email: "email_verified_at", phone_number: "phone_verified_at", user_id: "id" } as const;

/** Nobody when several share the identifier. */
export async function selectUserBy(
  db: Database,
  account_id: string,
  type: UserType,
  identifier: Identifier,
): Promise<KnownUser | undefined> {
  const found = await selectUsersBy(db, account_id, type, identifier);
  return found.length > 1 ? undefined : found[0];
}

/** At most two: more than one means that the identifier logs nobody in. A number that nobody verified is shared by nobody. */
export async function selectUsersBy(
  db: Database,
  account_id: string,
  type: UserType,
  identifier: Identifier,
): Promise<readonly KnownUser[]> {
  const found = await db
    .selectFrom("live_users as u")
    .select((eb) => [
      "u.id",
      eb.case().when("u.email_verified_at", "is not", null).then(eb.ref("u.email")).end().as("email"),
      eb.case().when("u.phone_verified_at", "is not", null).then(eb.ref("u.phone_number")).end().as("phone_number"),
      eb
        .exists(
          eb
            .selectFrom("live_users as o")
            .select("o.id")
            .whereRef("o.account_id", "=", "u.account_id")
            .whereRef("o.type", "=", "u.type")
            .whereRef("o.phone_number", "=", "u.phone_number")
            .where("o.phone_verified_at", "is not", null)
            .whereRef("o.id", "!=", "u.id"),
        )
        .as("shared"),
      eb
        .exists(
          eb
            .selectFrom("users as e")
            .select("e.id")
            .whereRef("e.account_id", "=", "u.account_id")
            .whereRef("e.id", "=", "u.id")
            .where("e.profile", "like", EXTERNAL),
        )
        .as("external"),
    ])
    .where("u.account_id", "=", account_id)
    .where("u.type", "=", type)
    .where(`u.${identifying[identifier.type]}`, "=", identifier.value)
    .where(`u.${verifying[identifier.type]}`, "is not", null)
    .limit(2)
    .execute();
  return found.map(({ id, email, phone_number, shared, external }) => ({
    ...{ id, email, external: Boolean(external) },
    phone_number: shared ? null : phone_number,
  }));
}

/** Of a person whose turn to be sent something it is: their wrong guesses, and what is known of a live user. */
export interface PersonNow {
  /** A user, and not deleted. */
  readonly lives: boolean;
  readonly window: GuessWindow | undefined;
  /** As `phone_number`: verified. */
  readonly email: string | null;
  readonly phone_number: string | null;
  readonly locale: string | null;
}

/** Everybody costs the same statement: it starts from the row on which sends wait for each other. */
export async function selectPersonNow(db: Database, account_id: string, person: string): Promise<PersonNow> {
  const row = await db
    .selectFrom("budgets as turn")
    .leftJoin("budgets as g", (join) =>
      join
        .onRef("g.account_id", "=", "turn.account_id")
        .on("g.budget", "=", "numeric_guess")
        .onRef("g.subject", "=", "turn.subject"),
    )
    .leftJoin("live_users as u", (join) =>
      join.onRef("u.account_id", "=", "turn.account_id").onRef("u.id", "=", "turn.subject"),
    )
    .select((eb) => [
      ...(["g.count", "g.window_ends_at", "g.level", "g.failures", "u.id as user_id", "u.locale"] as const),
      eb.case().when("u.email_verified_at", "is not", null).then(eb.ref("u.email")).end().as("email"),
      eb.case().when("u.phone_verified_at", "is not", null).then(eb.ref("u.phone_number")).end().as("phone_number"),
    ])
    .where("turn.account_id", "=", account_id)
    .where("turn.budget", "=", "send_person")
    .where("turn.subject", "=", person)
    .executeTakeFirstOrThrow();
  const { count, window_ends_at, level, failures, user_id, email, phone_number, locale } = row;
  const window =
    count === null || window_ends_at === null || level === null || failures === null
      ? undefined
      : { count, window_ends_at, level, failures };
  return { window, lives: user_id !== null, email, phone_number, locale };
}

/** The wrong guesses at a person's numeric codes, where any are remembered. */
export async function selectGuessWindow(
  db: Database,
  account_id: string,
  person: string,
): Promise<GuessWindow | undefined> {
  return db
    .selectFrom("budgets")
    .select(["count", "window_ends_at", "level", "failures"])
    .where("account_id", "=", account_id)
    .where("budget", "=", "numeric_guess")
    .where("subject", "=", person)
    .executeTakeFirst();
}
