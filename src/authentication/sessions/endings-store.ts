import { sql } from "kysely";
import { rowIs } from "../../storage/by-key.ts";
import { inPages, slices } from "../../storage/pages.ts";
import type { Database } from "../../storage/storage.ts";
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
  const rows = await Promise.all(
    (["session_endings", "person_endings"] as const).map((table) =>
      ofWhom(db, whose, table).select("session_id").limit(1).execute(),
    ),
  );
  return rows.some(([row]) => row !== undefined);
}

/** Somebody whose logins ended together. */
export type Person = Pick<Ending, "account_id" | "user_id">;

/** As `selectEndings`, one. */
export async function selectPersonEnding(db: Database, whose: Whose | undefined): Promise<Person | undefined> {
  const [row] = await ofWhom(db, whose, "person_endings")
    .select(["account_id", "user_id"])
    .orderBy("account_id")
    .orderBy("user_id")
    .limit(1)
    .forUpdate()
    .skipLocked()
    .execute();
  return row;
}

/**
 * Held where one is under way, which does not end before this is committed, or has ended. A build from before keeps
 * there how far it is: it begins anew, since logins have ended that it passed over.
 */
export async function upsertPersonEnding(db: Database, { account_id, user_id }: Person): Promise<void> {
  const [session_id, family] = ["", ""];
  await db
    .insertInto("person_endings")
    .values({ account_id, user_id, session_id, family })
    .onConflict((conflict) => conflict.columns(["account_id", "user_id"]).doUpdateSet({ session_id, family }))
    .execute();
}

export async function deletePersonEnding(db: Database, { account_id, user_id }: Person): Promise<void> {
  await db.deleteFrom("person_endings").where("account_id", "=", account_id).where("user_id", "=", user_id).execute();
}

/** Of an account, or of one person of it. */
export type Whose = Pick<Ending, "account_id"> & Partial<Pick<Ending, "user_id">>;

function ofWhom(
  db: Database,
  whose: Whose | undefined,
  table: "session_endings" | "person_endings" = "session_endings",
) {
  const { account_id, user_id } = whose ?? {};
  return db
    .selectFrom(table)
    .$if(account_id !== undefined, (query) => query.where("account_id", "=", account_id ?? ""))
    .$if(user_id !== undefined, (query) => query.where("user_id", "=", user_id ?? ""));
}

/** As many as one statement takes. */
const SLICE = 500;

export async function insertEndings(db: Database, endings: readonly Ending[]): Promise<void> {
  for (const some of slices(endings, SLICE)) await db.insertInto("session_endings").values(some).execute();
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

/** SQL: an authorization goes on as a device's refresh tokens. */
const OF_DEVICE = rowIs(
  "refresh_families f",
  { account_id: "session_authorizations.account_id", id: "session_authorizations.sid" },
  "f.surface = 'device'",
);

/**
 * What a session led to and was not ended yet, client by client. A device that can refresh its login is another machine's than
 * the browser in which it was let in, and outlives that one's logout (OpenID Connect Back-Channel Logout §2.7): in one
 * statement with its families, since there may be thousands.
 */
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
    .where(sql.raw<boolean>(`not ${OF_DEVICE}`))
    .orderBy("client_id")
    .orderBy("sid")
    .limit(limit)
    .execute();
}

/** Clients whose settings are held at a time: those of one may be a hundred thousand characters. */
const FEW = 5;

/**
 * Those of some clients that live and want to hear of logouts. What a client says of itself is read here and not by
 * PostgreSQL, whose JSON refuses some of it: nobody's logout hangs on that.
 */
export async function selectListening(
  db: Database,
  account_id: string,
  ids: readonly string[],
): Promise<readonly { readonly id: string; readonly uri: string }[]> {
  if (ids.length === 0) return [];
  const pages = inPages<{ readonly id: string; readonly settings: string }>(FEW, (last) =>
    db
      .selectFrom("clients")
      .select(["id", "settings"])
      .where("account_id", "=", account_id)
      .where("id", "in", ids)
      .where("id", ">", last?.id ?? "")
      .where(sql<boolean>`settings like '%"backchannel_logout_uri":"%'`)
      .where("deleted_at", "is", null)
      .orderBy("id")
      .limit(FEW)
      .execute(),
  );
  const listening: { readonly id: string; readonly uri: string }[] = [];
  for await (const page of pages) {
    for (const { id, settings } of page) {
      const { backchannel_logout_uri: uri } = JSON.parse(settings) as { backchannel_logout_uri?: string | null };
      if (uri) listening.push({ id, uri });
    }
  }
  return listening;
}
