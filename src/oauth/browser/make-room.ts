import { sql } from "kysely";
import type { Directory } from "../../directory/directory.ts";
import { wentOn } from "../../directory/users/logins-ended.ts";
import { rowIs, rowOf } from "../../storage/by-key.ts";
import { FOR_UPDATE } from "../../storage/row-locks.ts";
import { instant } from "../../storage/storage.ts";
import type { Answering } from "./answer-statement.ts";

/** Logins that one transaction ends. */
const PAGE = 100;

/** SQL, behind what is asked of it: the family of an authorization. */
const FAMILY = rowOf("refresh_families f", { account_id: "a.account_id", id: "a.sid" });

/** SQL: its session goes on with it. */
const GOES_ON = rowIs(
  "sessions s",
  { account_id: "a.account_id", id: "a.session_id" },
  rowIs("users u", { account_id: "s.account_id", id: "s.user_id" }, `${wentOn("u")} = a.sid`),
);

/**
 * Makes room in a session that has led to much: of the client that it led to most often the oldest logins end, before any that
 * can still be refreshed. So whoever sends the browser to a client again and again, in whose name ever, takes nothing from
 * another one, and keeps nobody out. The newest stays, by which the client is told of the session's end, and so does what
 * the session goes on with where its person's others ended. `now` in milliseconds.
 *
 * @returns whether there was any.
 */
export function makeRoom(
  { storage, revocations }: Pick<Directory, "storage" | "revocations">,
  { account_id, session_id }: Pick<Answering, "account_id" | "session_id">,
  now: number,
): Promise<boolean> {
  const at = instant(now);
  return storage.write(async (tx) => {
    const { db } = tx;
    // As everybody does who changes what several of its rows say.
    await sql`select id from sessions
      where account_id = ${account_id} and id = ${session_id} ${FOR_UPDATE}`.execute(db);
    const fullest = await db
      .selectFrom("session_authorizations")
      .select(({ fn }) => ["client_id", fn.countAll().as("held")])
      .where("account_id", "=", account_id)
      .where("session_id", "=", session_id)
      .groupBy("client_id")
      .orderBy("held", "desc")
      .limit(1)
      .executeTakeFirst();
    if (!fullest) return false;
    const { rows } = await sql<{ sid: string }>`select a.sid from session_authorizations a
      where a.account_id = ${account_id} and a.session_id = ${session_id} and a.client_id = ${fullest.client_id}
        and not ${sql.raw(GOES_ON)}
      order by (select f.revoked_at is null and f.idle_expires_at > ${at} and f.expires_at > ${at}
        ${sql.raw(FAMILY)}) is true, a.created_at, a.sid
      limit ${sql.lit(Math.min(PAGE, Number(fullest.held) - 1))}`.execute(db);
    if (rows.length === 0) return false;
    const sids = rows.map(({ sid }) => sid);
    await db
      .deleteFrom("session_authorizations")
      .where("account_id", "=", account_id)
      .where("session_id", "=", session_id)
      .where("sid", "in", sids)
      .execute();
    await revocations.record(
      tx,
      account_id,
      sids.map((sid) => `sid:${sid}`),
    );
    return true;
  });
}
