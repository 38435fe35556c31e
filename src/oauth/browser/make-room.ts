import { sql } from "kysely";
import type { Directory } from "../../directory/directory.ts";
import { wentOn } from "../../directory/users/logins-ended.ts";
import { FOR_UPDATE } from "../../storage/row-locks.ts";
import { instant } from "../../storage/storage.ts";
import type { Answering } from "./answer-statement.ts";

/** Logins that one transaction ends. */
const PAGE = 100;

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
        left join refresh_families f on f.account_id = a.account_id and f.id = a.sid and f.revoked_at is null
          and f.idle_expires_at > ${at} and f.expires_at > ${at}
      where a.account_id = ${account_id} and a.session_id = ${session_id} and a.client_id = ${fullest.client_id}
        and not exists (select 1 from sessions s
          join users u on u.account_id = s.account_id and u.id = s.user_id
          where s.account_id = a.account_id and s.id = a.session_id and ${sql.raw(wentOn("u"))} = a.sid)
      order by case when f.id is null then 0 else 1 end, a.created_at, a.sid
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
