/**
 * When a person's logins ended together, in their row: what began before begins nothing more that lasts. Whoever ends them
 * and whoever begins one hold that row, so the one comes before the other, whatever their processes have heard.
 */
import { sql } from "kysely";
import { refuse } from "../../errors.ts";
import type { Bearer } from "../../http/contract.ts";
import { hasEnded } from "../../revocation/has-ended.ts";
import { type Instant, instant, type Transaction } from "../../storage/storage.ts";

interface Person {
  readonly account_id: string;
  readonly user_id: string;
}

/** The login that goes on where a person's others end. */
export interface GoesOn {
  readonly sid: string;
}

/** The login by which somebody changes what proves them. */
export interface LoginAtHand extends GoesOn {
  /** When it began, in milliseconds. */
  readonly began_at: number;
  /** What a revocation can name to end it. */
  readonly hangs_on: readonly string[];
}

export const loginAtHand = ({
  sid,
  began_at = 0,
  hangs_on = [`sid:${sid}`],
}: Pick<Bearer, "sid" | "began_at" | "hangs_on">): LoginAtHand => ({ sid, began_at, hangs_on });

/** SQL: a login that began then has not ended with the others of the person whose row is `u`. */
export const loginStands = (u: string, began_at: string): string =>
  `(${u}.logins_ended_at is null or ${u}.logins_ended_at <= ${began_at})`;

/** SQL: the `sid` of the login that went on when a person's others ended, behind that instant and a blank. */
export const wentOn = (u: string): string => `substr(${u}.logins_ended_but, 26)`;

/**
 * SQL: the same of what is there since then, which may have gone on. `isKept` says of a `sid` whether it is that. Builds of
 * before mark each one that ends: where they were last, none was noted, or one of another instant.
 */
export const stillStands = (u: string, began_at: string, isKept: (sid: string) => string): string =>
  `(${loginStands(u, began_at)} or ${u}.logins_ended_but is null
    or substr(${u}.logins_ended_but, 1, 24) <> ${u}.logins_ended_at or ${isKept(wentOn(u))})`;

/**
 * Part of the transaction in which somebody changes what proves them, whose row it holds: the login at hand stands,
 * also by what this process has not heard of yet. What it changes lasts longer than any token.
 *
 * @throws 401 invalid_token.
 */
export async function holdByLogin(
  tx: Transaction,
  { account_id, user_id }: Person,
  { sid, began_at, hangs_on }: LoginAtHand,
): Promise<void> {
  const stood = sql.raw(stillStands("users", "began.at", (kept) => `${kept} = began.sid`));
  const began = sql`select began.sid from (select ${sid} as sid, ${instant(began_at)} as at) as began where ${stood}`;
  const rows = await tx.db
    .selectFrom("users")
    .select("id")
    .where("account_id", "=", account_id)
    .where("id", "=", user_id)
    .where("deleted_at", "is", null)
    .where(sql<boolean>`(${began}) is not null`)
    .forUpdate()
    .execute();
  if (rows.length === 0 || (await hasEnded(tx.db, account_id, hangs_on)))
    throw refuse("invalid_token", { detail: "the login at hand has ended" });
}

/**
 * Part of the transaction that ends what of a person's logins began before `now`, and looks for that after this: whoever
 * begins one waits until it ends, or is found. The one that goes on was held. A clock that was set back takes nothing
 * from what ended before.
 */
export async function noteLoginsEnded(
  tx: Transaction,
  { account_id, user_id, kept }: Person & { readonly kept?: GoesOn | undefined },
  now: Instant,
): Promise<void> {
  const ended_at = sql<string>`case when logins_ended_at > ${now} then logins_ended_at else ${now} end`;
  await tx.db
    .updateTable("users")
    .set({
      logins_ended_at: ended_at,
      logins_ended_but: sql<string>`${ended_at} || ' ' || ${kept?.sid ?? ""}`,
    })
    .where("account_id", "=", account_id)
    .where("id", "=", user_id)
    .execute();
}

/** Part of the transaction that lets a person in: whether a login of theirs that began then stands. */
export async function holdLogin(tx: Transaction, { account_id, user_id }: Person, began_at: Instant): Promise<boolean> {
  const rows = await tx.db
    .selectFrom("users")
    .select("id")
    .where("account_id", "=", account_id)
    .where("id", "=", user_id)
    .where((eb) => eb.or([eb("logins_ended_at", "is", null), eb("logins_ended_at", "<=", began_at)]))
    .forShare()
    .execute();
  return rows.length === 1;
}
