import { sql } from "kysely";
import type { Directory } from "../../directory/directory.ts";
import { wentOn } from "../../directory/users/logins-ended.ts";
import type { Charge } from "../../limits/budgets.ts";
import { takeBudgetsIn } from "../../limits/limits.ts";
import { rowIs, rowOf } from "../../storage/by-key.ts";
import { type Database, instant, type Transaction } from "../../storage/storage.ts";
import { CODE_LIFETIME } from "../authorization-code.ts";
import { DEVICE_CODE_LIFETIME } from "../device/device-code.ts";
import { type Answered, type Answering, answerStatement, LED_LIMIT } from "./answer-statement.ts";

/** Logins that one transaction ends. */
const PAGE = 100;
/** Of the fullest client's, the oldest: so many are looked at for another one, which needs one and has its person wait. */
const OLDEST = 5 * PAGE;
/** No code is redeemed later; milliseconds. A minute more than any lives, for whoever redeems one in its last moment. */
const REDEEMED_BY = DEVICE_CODE_LIFETIME + 60_000;

const KEY = { account_id: "a.account_id", id: "a.sid" };

/** SQL, behind what is asked of it: the family of an authorization. */
const FAMILY = rowOf("refresh_families f", KEY);

/** SQL, likewise: that its code was redeemed, which is remembered for longer than an access token lives. */
const REDEEMED = rowOf("redeemed_authorization_codes r", KEY);

/** SQL: its session goes on with it. */
const GOES_ON = rowIs(
  "sessions s",
  { account_id: "a.account_id", id: "a.session_id" },
  rowIs("users u", { account_id: "s.account_id", id: "s.user_id" }, `${wentOn("u")} = a.sid`),
);

/**
 * Answers in a session that has led to much: makes room where there is none. In one transaction, so that nobody else takes
 * what was made. `now` in milliseconds.
 */
export function answerInFull(
  { storage, revocations }: Pick<Directory, "storage" | "revocations">,
  answering: Answering,
  now: number,
): Promise<Answered> {
  return storage.write(async (tx) => {
    const answer = async () => (await tx.hot(answerStatement, [answering]))[0] ?? "session_full";
    // What this locks stays locked, in its order: the request, the session, the consent.
    const answered = await answer();
    const made = answered === "session_full" && (await makeRoom(tx, revocations, answering, now));
    return made ? answer() : answered;
  });
}

/**
 * Makes room for a client in a session that is full, unless others have meanwhile. The session's row is locked. `now` in
 * milliseconds.
 *
 * Of the client that it led to most often those logins are forgotten whose code nobody redeemed in its time, or that have
 * ended. Where there are none the oldest end, last those that can still be refreshed. They may be alive, so every process
 * has to remember them: there is a budget of that, and one of looks, each of which reads all of them.
 *
 * Whoever sends the browser to a client again and again, in whose name ever, takes nothing from another one, and uses up
 * no budget of one: a client that holds less than the fullest ends no more than it needs, and pays for itself. It evens
 * them out by it, so many together get no further than to hold as much as each other. What stays: a code for its minute;
 * one login, by which the client is told of the session's end; and what the session goes on with where its person's
 * others ended.
 *
 * @returns whether there is any.
 */
export async function makeRoom(
  tx: Transaction,
  revocations: Directory["revocations"],
  { account_id, session_id, client_id }: Pick<Answering, "account_id" | "session_id" | "client_id">,
  now: number,
): Promise<boolean> {
  const { db } = tx;
  const fullest = await selectFullest(db, { account_id, session_id, client_id });
  if (!fullest || fullest.led < LED_LIMIT) return true;
  const needed = fullest.led - LED_LIMIT + 1;
  const fills = fullest.own + 1 >= fullest.held;
  const of_session = { account_id, subject: session_id };
  const of_client = { account_id, subject: `${session_id} ${client_id}` };
  const charges: readonly Charge[] = fills
    ? [{ ...of_session, budget: "session_look" }]
    : [
        { ...of_client, budget: "session_room_client", cost: needed },
        { ...of_session, budget: "session_room_clients", cost: needed },
      ];
  if (await takeBudgetsIn(tx, charges, now)) return false;
  const among = fills ? LED_LIMIT : OLDEST;
  const { alive, sids: least } = await selectLeast(db, { account_id, session_id, ...fullest }, among, now);
  const sids = alive && !fills ? least.slice(0, needed) : least;
  if (sids.length === 0) return false;
  const charge = { ...of_session, budget: "session_room", cost: sids.length } as const;
  if (alive && fills && (await takeBudgetsIn(tx, [charge], now))) return false;
  await db
    .deleteFrom("session_authorizations")
    .where("account_id", "=", account_id)
    .where("session_id", "=", session_id)
    .where("sid", "in", sids)
    .execute();
  const subjects = sids.map((sid) => `sid:${sid}`);
  if (alive) await revocations.record(tx, account_id, subjects);
  return true;
}

interface Fullest {
  readonly client_id: string;
  /** Logins of this client. */
  readonly held: number;
  /** Those of the client that asks. */
  readonly own: number;
  /** Those of all clients. */
  readonly led: number;
}

/** The client that a session led to most often. */
async function selectFullest(
  db: Database,
  { account_id, session_id, client_id }: Pick<Answering, "account_id" | "session_id" | "client_id">,
): Promise<Fullest | undefined> {
  const own = sql`case when client_id = ${client_id} then count(*) else 0 end`;
  const fullest = await db
    .selectFrom("session_authorizations")
    .select(({ fn }) => [
      "client_id",
      fn.countAll().as("held"),
      sql`sum(${own}) over ()`.as("own"),
      sql`sum(count(*)) over ()`.as("led"),
    ])
    .where("account_id", "=", account_id)
    .where("session_id", "=", session_id)
    .groupBy("client_id")
    .orderBy("held", "desc")
    .limit(1)
    .executeTakeFirst();
  if (!fullest) return undefined;
  const { held, own: owned, led } = fullest;
  return { client_id: fullest.client_id, held: Number(held), own: Number(owned), led: Number(led) };
}

/** A page of what its client would miss least `among` its oldest: all of it may be alive, or nothing came of any. */
async function selectLeast(
  db: Database,
  { account_id, session_id, client_id, held }: Fullest & Pick<Answering, "account_id" | "session_id">,
  among: number,
  now: number,
): Promise<{ readonly alive: boolean; readonly sids: readonly string[] }> {
  const at = instant(now);
  const { rows } = await sql<{ sid: string; alive: unknown }>`select a.sid,
      coalesce((select f.revoked_at is null ${sql.raw(FAMILY)}), (select true ${sql.raw(REDEEMED)}),
        a.created_at > ${instant(now - REDEEMED_BY)}) as alive
    from (select account_id, session_id, sid, created_at from session_authorizations
      where account_id = ${account_id} and session_id = ${session_id} and client_id = ${client_id}
        and created_at <= ${instant(now - CODE_LIFETIME)}
      order by created_at, sid limit ${sql.lit(among)}) a
    where not ${sql.raw(GOES_ON)}
    order by alive, (select f.revoked_at is null and f.idle_expires_at > ${at} and f.expires_at > ${at}
      ${sql.raw(FAMILY)}) is true, a.created_at, a.sid
    limit ${sql.lit(Math.min(PAGE, held - 1))}`.execute(db);
  const alive = Boolean(rows[0]?.alive);
  return { alive, sids: rows.filter((row) => Boolean(row.alive) === alive).map(({ sid }) => sid) };
}
