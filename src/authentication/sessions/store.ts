import { randomUUID } from "node:crypto";
import { type ExpressionBuilder, sql } from "kysely";
import type { Database, Instant } from "../../storage/storage.ts";
import type { Tables } from "../../storage/tables.ts";
import type { NewSession, Session } from "./session.ts";
import { sessionLives, sessionStands } from "./session-lives.ts";

/** It remembers the cookie of before with those that came from there, so that all of them are settled together. */
export async function insertSession(
  db: Database,
  { amr, ...session }: NewSession,
  browser_digest: Uint8Array,
): Promise<void> {
  const digest = Buffer.from(browser_digest);
  await db
    .insertInto("sessions")
    .values(({ selectFrom }) => ({
      ...{ ...session, amr: JSON.stringify(amr), browser_digest: digest, ended_at: null },
      previous_digest: selectFrom("sessions as s")
        .select("s.previous_digest")
        .where("s.account_id", "=", session.account_id)
        .where("s.browser_digest", "=", digest)
        .where("s.ended_at", "is", null)
        .where("s.previous_digest", "is not", null)
        .limit(1),
    }))
    .execute();
}

/** Those whose people live, newest login first, unless they were ended. */
const unended = (db: Database, account_id: string) =>
  db
    .selectFrom("sessions as s")
    .innerJoin("live_users as u", (join) =>
      join.onRef("u.account_id", "=", "s.account_id").onRef("u.id", "=", "s.user_id"),
    )
    .select([
      "s.account_id",
      "s.id",
      "s.user_id",
      "u.type as user_type",
      "s.auth_time",
      "s.amr",
      "s.provider",
      "s.created_at",
      "s.idle_expires_at",
      "s.expires_at",
      "s.previous_digest",
    ])
    .where("s.account_id", "=", account_id)
    .where("s.ended_at", "is", null)
    .orderBy("s.auth_time", "desc")
    .orderBy("s.id", "desc");

type UnendedRow = Awaited<ReturnType<ReturnType<typeof unended>["execute"]>>[number];

const decode = ({ previous_digest, ...row }: UnendedRow): Session => ({
  ...row,
  unsettled: previous_digest !== null,
  user_type: row.user_type as Session["user_type"],
  auth_time: Number(row.auth_time),
  amr: JSON.parse(row.amr) as string[],
});

const isLive = (now: Instant) =>
  sql<boolean>`s.idle_expires_at > ${now} and s.expires_at > ${now} and ${sql.raw(sessionLives("s"))}`;

/** Live ones. */
export async function selectSessions(
  db: Database,
  account_id: string,
  browser_digest: Uint8Array,
  now: Instant,
): Promise<readonly Session[]> {
  const here = unended(db, account_id).where("s.browser_digest", "=", Buffer.from(browser_digest));
  return (await here.where(isLive(now)).limit(20).execute()).map(decode);
}

/** The same person's that a session may speak for: by another server's word for those of its word alone. */
const elsewhere = (db: Database, { account_id, id, user_id, provider }: Session) =>
  unended(db, account_id)
    .where("s.user_id", "=", user_id)
    .where("s.id", "<>", id)
    .$if(provider !== null, (query) => query.where("s.provider", "=", provider));

/** … live ones. */
export async function selectElsewhere(
  db: Database,
  session: Session,
  now: Instant,
  limit: number,
): Promise<readonly Session[]> {
  return (await elsewhere(db, session).where(isLive(now)).limit(limit).execute()).map(decode);
}

/** … all that were not ended, or the one of an id. */
export async function selectUnendedElsewhere(
  db: Database,
  session: Session,
  only: string | undefined,
  limit: number,
): Promise<readonly string[]> {
  const found = elsewhere(db, session).$if(only !== undefined, (query) => query.where("s.id", "=", only ?? ""));
  return (await found.limit(limit).execute()).map(({ id }) => id);
}

/** Those too that have moved to a cookie which was not shown yet. */
export async function selectUnended(
  db: Database,
  account_id: string,
  browser_digest: Uint8Array,
): Promise<readonly Session[]> {
  const digest = Buffer.from(browser_digest);
  const either = unended(db, account_id).where((eb) =>
    eb.or([eb("s.browser_digest", "=", digest), eb("s.previous_digest", "=", digest)]),
  );
  return (await either.execute()).map(decode);
}

export interface PersonsSessions {
  readonly account_id: string;
  readonly user_id: string;
  /** `sid` of what the one led to that is left out; empty for none. */
  readonly except: string;
}

/** @returns the ids of those that were not ended; in the order of the index of these alone, or the newest first. */
export async function selectUnendedOf(
  db: Database,
  { account_id, user_id, except }: PersonsSessions,
  order: "id" | "created_at desc",
  limit: number,
): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`select s.id from sessions s
    where s.account_id = ${account_id} and s.user_id = ${user_id} and s.ended_at is null
      and not exists (select 1 from session_authorizations a
        where a.account_id = s.account_id and a.session_id = s.id and a.sid = ${except})
    order by s.${sql.raw(order)} limit ${sql.lit(limit)}`.execute(db);
  return rows.map(({ id }) => id);
}

/** @returns the ids of sessions of a person that were not ended, and do not stand: their logins have ended. */
export async function selectWhichEnd(
  db: Database,
  { account_id, user_id }: Omit<PersonsSessions, "except">,
  limit: number,
): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`select s.id
    from sessions s join users u on u.account_id = s.account_id and u.id = s.user_id
    where s.account_id = ${account_id} and s.user_id = ${user_id} and s.ended_at is null
      and not ${sql.raw(sessionStands("s", "u"))}
    order by s.id limit ${sql.lit(limit)}`.execute(db);
  return rows.map(({ id }) => id);
}

/**
 * Held in the order in which everybody locks those rows who takes several. @returns which of them were not ended
 * before.
 */
export async function updateEnded(
  db: Database,
  account_id: string,
  ids: readonly string[],
  now: Instant,
): Promise<readonly string[]> {
  const rows = await db
    .updateTable("sessions")
    .set({ ended_at: now })
    .where("account_id", "=", account_id)
    .where("id", "in", ({ selectFrom }) =>
      selectFrom("sessions")
        .select("id")
        .where("account_id", "=", account_id)
        .where("id", "in", ids)
        .where("ended_at", "is", null)
        .orderBy("id")
        .forUpdate(),
    )
    .where("ended_at", "is", null)
    .returning("id")
    .execute();
  return rows.map(({ id }) => id);
}

/** The session that goes on for the same person in the same browser. */
const isLiving =
  (browser_digest: Uint8Array, { account_id, user_id, created_at: now }: NewSession) =>
  (eb: ExpressionBuilder<Tables, "sessions">) =>
    eb.and([
      eb("account_id", "=", account_id),
      eb("browser_digest", "=", Buffer.from(browser_digest)),
      eb("user_id", "=", user_id),
      eb("ended_at", "is", null),
      eb("idle_expires_at", ">", now),
      eb("expires_at", ">", now),
      sql<boolean>`${sql.raw(sessionLives("sessions"))}`,
    ]);

/**
 * The live session of a person in a browser goes on with what they have shown now, and what it led to is remembered as
 * long as it.
 *
 * @returns its id, where there is one.
 */
export async function updateShown(
  db: Database,
  browser_digest: Uint8Array,
  session: NewSession,
): Promise<string | undefined> {
  const { account_id, auth_time, amr, provider, idle_expires_at, expires_at } = session;
  const rows = await db
    .updateTable("sessions")
    .set({ auth_time, amr: JSON.stringify(amr), provider, idle_expires_at, expires_at })
    .where(isLiving(browser_digest, session))
    .returning("id")
    .execute();
  const id = rows[0]?.id;
  if (id === undefined) return undefined;
  await db
    .updateTable("session_authorizations")
    .set({ expires_at })
    .where("account_id", "=", account_id)
    .where("session_id", "=", id)
    .execute();
  return id;
}

interface LedTo {
  readonly account_id: string;
  readonly user_id: string;
  readonly client_id: string;
}

/** A person's sessions, whatever became of them; those that come after one. */
export function selectSessionsOf(
  db: Database,
  { account_id, user_id }: Omit<LedTo, "client_id">,
  after: string,
  limit: number,
): Promise<readonly { readonly id: string }[]> {
  return db
    .selectFrom("sessions")
    .select("id")
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .where("id", ">", after)
    .orderBy("id")
    .limit(limit)
    .execute();
}

/** What a session led to at a client; what comes after one. */
export function selectLedTo(
  db: Database,
  { account_id, session_id, client_id }: { readonly session_id: string } & Omit<LedTo, "user_id">,
  after: string,
  limit: number,
): Promise<readonly { readonly sid: string }[]> {
  return db
    .selectFrom("session_authorizations")
    .select("sid")
    .where("account_id", "=", account_id)
    .where("session_id", "=", session_id)
    .where("client_id", "=", client_id)
    .where("sid", ">", after)
    .orderBy("sid")
    .limit(limit)
    .execute();
}

/** What a person's sessions led to at a client since; one that ended before led to nothing. */
export async function selectAuthorizationsSince(
  db: Database,
  { account_id, user_id, client_id }: LedTo,
  since: Instant,
): Promise<readonly string[]> {
  const rows = await db
    .selectFrom("session_authorizations as a")
    .innerJoin("sessions as s", (join) =>
      join.onRef("s.account_id", "=", "a.account_id").onRef("s.id", "=", "a.session_id"),
    )
    .select("a.sid")
    .where("a.account_id", "=", account_id)
    .where("s.user_id", "=", user_id)
    .where((eb) => eb.or([eb("s.ended_at", "is", null), eb("s.ended_at", ">=", since)]))
    .where("a.client_id", "=", client_id)
    .where("a.created_at", ">=", since)
    .execute();
  return rows.map(({ sid }) => sid);
}

/**
 * Leaves an ended session in place of a login here that is about to become one of another server: who logged in here once
 * is known in that browser by it (`selectKnown`).
 */
export async function keepOwnLogin(db: Database, browser_digest: Uint8Array, session: NewSession): Promise<void> {
  const kept = ["account_id", "browser_digest", "user_id", "auth_time", "amr", "provider", "created_at"] as const;
  const times = ["idle_expires_at", "expires_at"] as const;
  await db
    .insertInto("sessions")
    .columns([...kept, ...times, "id", "ended_at"])
    .expression((eb) =>
      eb
        .selectFrom("sessions")
        .select([...kept, ...times, eb.val(randomUUID()).as("id"), eb.val(session.created_at).as("ended_at")])
        .where(isLiving(browser_digest, session))
        .where("provider", "is", null)
        .limit(1),
    )
    .execute();
}

/** Whether this person, or one of this address or number, logged in here in this browser, and not elsewhere; ever. */
export async function selectKnown(
  db: Database,
  account_id: string,
  browser_digest: Uint8Array,
  who: { readonly user_id: string } | { readonly identifier: string },
): Promise<boolean> {
  const rows = await db
    .selectFrom("sessions as s")
    .innerJoin("live_users as u", (join) =>
      join.onRef("u.account_id", "=", "s.account_id").onRef("u.id", "=", "s.user_id"),
    )
    .select("s.id")
    .where("s.account_id", "=", account_id)
    .where("s.browser_digest", "=", Buffer.from(browser_digest))
    .where("s.provider", "is", null)
    .where((eb) =>
      "user_id" in who
        ? eb("u.id", "=", who.user_id)
        : eb.or([eb("u.email_canonical", "=", who.identifier), eb("u.phone_number", "=", who.identifier)]),
    )
    .limit(1)
    .execute();
  return rows.length > 0;
}

/** Whether there is a session under this cookie, also an ended one. */
export async function selectAny(db: Database, account_id: string, browser_digest: Uint8Array): Promise<boolean> {
  const row = await db
    .selectFrom("sessions")
    .select("id")
    .where("account_id", "=", account_id)
    .where("browser_digest", "=", Buffer.from(browser_digest))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
