import { sql } from "kysely";
import type { Directory } from "../../directory/directory.ts";
import { wentOn } from "../../directory/users/logins-ended.ts";
import { takeBudgetsIn } from "../../limits/limits.ts";
import { rowIs, rowOf } from "../../storage/by-key.ts";
import { FOR_UPDATE } from "../../storage/row-locks.ts";
import { type Database, instant } from "../../storage/storage.ts";
import { CODE_LIFETIME } from "../authorization-code.ts";
import { DEVICE_CODE_LIFETIME } from "../device/device-code.ts";
import { type Answering, LED_LIMIT } from "./answer-statement.ts";

/** Logins that one transaction ends. */
const PAGE = 100;
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
 * Makes room in a session that has led to much, unless others have meanwhile. `now` in milliseconds.
 *
 * Of the client that it led to most often those logins are forgotten whose code nobody redeemed in its time, or that have
 * ended. Where there are none the oldest end, last those that can still be refreshed. They may be alive, so every process
 * has to remember them: there is a budget of that, and one of looks, each of which reads all of them.
 *
 * Whoever sends the browser to a client again and again, in whose name ever, takes nothing from another one. What stays: a
 * code for its minute; one login, by which the client is told of the session's end; and what the session goes on with
 * where its person's others ended.
 *
 * @returns whether there is any.
 */
export function makeRoom(
  { storage, revocations }: Pick<Directory, "storage" | "revocations">,
  { account_id, session_id }: Pick<Answering, "account_id" | "session_id">,
  now: number,
): Promise<boolean> {
  return storage.write(async (tx) => {
    const { db } = tx;
    // As everybody does who changes what several of its rows say.
    await sql`select id from sessions
      where account_id = ${account_id} and id = ${session_id} ${FOR_UPDATE}`.execute(db);
    const fullest = await selectFullest(db, account_id, session_id);
    if (!fullest || Number(fullest.led) < LED_LIMIT) return true;
    const of_session = { account_id, subject: session_id };
    if (await takeBudgetsIn(tx, [{ ...of_session, budget: "session_look" }], now)) return false;
    const { alive, sids } = await selectLeast(db, { account_id, session_id, ...fullest }, now);
    if (sids.length === 0) return false;
    const charge = { ...of_session, budget: "session_room", cost: sids.length } as const;
    if (alive && (await takeBudgetsIn(tx, [charge], now))) return false;
    await db
      .deleteFrom("session_authorizations")
      .where("account_id", "=", account_id)
      .where("session_id", "=", session_id)
      .where("sid", "in", sids)
      .execute();
    const subjects = sids.map((sid) => `sid:${sid}`);
    if (alive) await revocations.record(tx, account_id, subjects);
    return true;
  });
}

interface Fullest {
  readonly client_id: string;
  /** Logins of this client. */
  readonly held: number | string | bigint;
  /** Logins of all clients. */
  readonly led: number | string | bigint;
}

/** The client that a session led to most often. */
function selectFullest(db: Database, account_id: string, session_id: string): Promise<Fullest | undefined> {
  return db
    .selectFrom("session_authorizations")
    .select(({ fn }) => ["client_id", fn.countAll().as("held"), sql<Fullest["led"]>`sum(count(*)) over ()`.as("led")])
    .where("account_id", "=", account_id)
    .where("session_id", "=", session_id)
    .groupBy("client_id")
    .orderBy("held", "desc")
    .limit(1)
    .executeTakeFirst();
}

/** A page of what its client would miss least: all of it may be alive, or nothing came of any. */
async function selectLeast(
  db: Database,
  { account_id, session_id, client_id, held }: Fullest & Pick<Answering, "account_id" | "session_id">,
  now: number,
): Promise<{ readonly alive: boolean; readonly sids: readonly string[] }> {
  const at = instant(now);
  const { rows } = await sql<{ sid: string; alive: unknown }>`select a.sid,
      coalesce((select f.revoked_at is null ${sql.raw(FAMILY)}), (select true ${sql.raw(REDEEMED)}),
        a.created_at > ${instant(now - REDEEMED_BY)}) as alive
    from session_authorizations a
    where a.account_id = ${account_id} and a.session_id = ${session_id} and a.client_id = ${client_id}
      and a.created_at <= ${instant(now - CODE_LIFETIME)} and not ${sql.raw(GOES_ON)}
    order by alive, (select f.revoked_at is null and f.idle_expires_at > ${at} and f.expires_at > ${at}
      ${sql.raw(FAMILY)}) is true, a.created_at, a.sid
    limit ${sql.lit(Math.min(PAGE, Number(held) - 1))}`.execute(db);
  const alive = Boolean(rows[0]?.alive);
  return { alive, sids: rows.filter((row) => Boolean(row.alive) === alive).map(({ sid }) => sid) };
}
