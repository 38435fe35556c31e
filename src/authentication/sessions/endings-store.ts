import { sql } from "kysely";
import type { Database, Engine } from "../../storage/storage.ts";
import { columns, type SessionEndings } from "../../storage/tables.ts";

/** An ended session, and which of its authorizations was ended last, by client and `sid`. */
export type Ending = Readonly<SessionEndings>;

/** Of an account or person, or of anybody. It passes over what another process is ending, and holds the rest. */
export function selectEndings(db: Database, whose: Whose | undefined, limit: number): Promise<readonly Ending[]> {
  return ofWhom(db, whose)
    .select(columns.session_endings)
    .orderBy("account_id")
    .orderBy("session_id")
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute();
}

/** Whether anything of theirs is left, also what another process holds. */
export async function isLeft(db: Database, whose: Whose): Promise<boolean> {
  const [row] = await ofWhom(db, whose).select("session_id").limit(1).execute();
  return row !== undefined;
}

/** Of an account, or of one person of it. */
export type Whose = Pick<Ending, "account_id"> & Partial<Pick<Ending, "user_id">>;

function ofWhom(db: Database, whose: Whose | undefined) {
  const { account_id, user_id } = whose ?? {};
  return db
    .selectFrom("session_endings")
    .$if(account_id !== undefined, (query) => query.where("account_id", "=", account_id ?? ""))
    .$if(user_id !== undefined, (query) => query.where("user_id", "=", user_id ?? ""));
}

/** As many as one statement takes. */
const SLICE = 500;

export async function insertEndings(db: Database, endings: readonly Ending[]): Promise<void> {
  for (let from = 0; from < endings.length; from += SLICE)
    await db
      .insertInto("session_endings")
      .values(endings.slice(from, from + SLICE))
      .execute();
}

/** Of one account. */
export async function deleteEndings(db: Database, endings: readonly Ending[]): Promise<void> {
  const [first] = endings;
  if (!first) return;
  await db
    .deleteFrom("session_endings")
    .where("account_id", "=", first.account_id)
    .where(
      "session_id",
      "in",
      endings.map(({ session_id }) => session_id),
    )
    .execute();
}

/** What a session led to and was not ended yet, client by client. */
export function selectLed(
  db: Database,
  { account_id, session_id, client_id, sid }: Ending,
  limit: number,
): Promise<readonly { readonly sid: string; readonly client_id: string }[]> {
  return db
    .selectFrom("session_authorizations")
    .select(["client_id", "sid"])
    .where("account_id", "=", account_id)
    .where("session_id", "=", session_id)
    .where((eb) => eb(eb.refTuple("client_id", "sid"), ">", eb.tuple(client_id, sid)))
    .orderBy("client_id")
    .orderBy("sid")
    .limit(limit)
    .execute();
}

/** Those of some clients that live and want to hear of logouts. Of their settings, which may be long, no more is read. */
export async function selectListening(
  db: Database,
  engine: Engine,
  account_id: string,
  ids: readonly string[],
): Promise<readonly { readonly id: string; readonly uri: string }[]> {
  if (ids.length === 0) return [];
  const uri = sql.raw(
    engine === "postgres"
      ? "cast(settings as json) ->> 'backchannel_logout_uri'"
      : "json_extract(settings, '$.backchannel_logout_uri')",
  );
  const { rows } = await sql<{ id: string; uri: string }>`select id, ${uri} as uri from clients
    where account_id = ${account_id} and id in (${sql.join(ids)}) and deleted_at is null and ${uri} is not null
    order by id`.execute(db);
  return rows;
}
