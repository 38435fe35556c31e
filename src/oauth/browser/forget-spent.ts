import { sql } from "kysely";
import { wentOn } from "../../directory/users/logins-ended.ts";
import { TOKENS_LIVE } from "../../revocation/revocation.ts";
import { FOR_UPDATE } from "../../storage/row-locks.ts";
import { instant, type Storage } from "../../storage/storage.ts";
import type { Answering } from "./answer-statement.ts";

/** Rows that one transaction takes. */
const BATCH = 500;

/**
 * Makes room in a session that has led to much: what nothing lives of any more, because its last access token is over and
 * nobody may refresh, need not be ended with it. Of each client something stays, by which it is told of the end, and so
 * does what the session goes on with where its person's others ended. An account user's token is exchanged for others for
 * a day, each of which lives for one. `now` in milliseconds.
 *
 * @returns whether there was any.
 */
export function forgetSpent(
  { write }: Storage,
  { account_id, session_id }: Pick<Answering, "account_id" | "session_id">,
  now: number,
): Promise<boolean> {
  const over = instant(now - TOKENS_LIVE);
  return write(async ({ db }) => {
    // As everybody does who changes what several of its rows say.
    await sql`select id from sessions
      where account_id = ${account_id} and id = ${session_id} ${FOR_UPDATE}`.execute(db);
    // Materialized, so that it is read once.
    const { numAffectedRows } = await sql`delete from session_authorizations
      where account_id = ${account_id} and session_id = ${session_id} and sid in (
        with spent as materialized (
          select a.sid from session_authorizations a
          where a.account_id = ${account_id} and a.session_id = ${session_id}
            and a.created_at < ${instant(now - 2 * TOKENS_LIVE)}
            and not exists (select 1 from refresh_families f
              where f.account_id = a.account_id and f.id = a.sid and f.revoked_at is null
                and f.idle_expires_at > ${over} and f.expires_at > ${over})
            and exists (select 1 from session_authorizations b
              where b.account_id = a.account_id and b.session_id = a.session_id and b.sid > a.sid
                and b.client_id = a.client_id)
            and not exists (select 1 from sessions s
              join users u on u.account_id = s.account_id and u.id = s.user_id
              where s.account_id = a.account_id and s.id = a.session_id and ${sql.raw(wentOn("u"))} = a.sid)
          limit ${sql.lit(BATCH)}
        ) select sid from spent)`.execute(db);
    return Number(numAffectedRows) > 0;
  });
}
