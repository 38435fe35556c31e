import { sql } from "kysely";
import { userLives } from "../../directory/lives.ts";
import { markDeleted } from "../../storage/mark-deleted.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import { columns } from "../../storage/tables.ts";
import { canonicalName, type Link, MOST_NAMES, stableName, type Username, type UsernameMfa } from "./username.ts";

type StoredUsername = Omit<Username, "links" | "mfa"> & {
  readonly links: string;
  readonly mfa: string | null;
  readonly username_canonical: string | null;
};

const decode = ({ username_canonical: _canonical, ...row }: StoredUsername): Username => ({
  ...row,
  links: JSON.parse(row.links) as Link[],
  mfa: row.mfa === null ? null : (JSON.parse(row.mfa) as UsernameMfa),
});

/** A name goes with its user. */
const ofLiveUser = sql.raw<boolean>(userLives("usernames.account_id", "usernames.user_id"));

/**
 * In any case. One that is written just so comes first: names of before may have no canonical form, since they differed
 * in case alone, or were stored as they were typed.
 */
export async function selectUsername(
  db: Database,
  account_id: string,
  username: string,
): Promise<Username | undefined> {
  const rows = await db
    .selectFrom("usernames")
    .select(columns.usernames)
    .where("account_id", "=", account_id)
    .where(isNamed(account_id, username))
    .where("deleted_at", "is", null)
    .where(ofLiveUser)
    .execute();
  const found = (as: (name: string) => string) => rows.find((row) => as(row.username) === as(username));
  const row = found((name) => name) ?? found(stableName) ?? found(canonicalName);
  return row && decode(row);
}

/** Each of the two by an index of its own: an `or` of them would read all names of the account. */
const isNamed = (account_id: string, username: string) => {
  const canonical = canonicalName(username);
  const written = [...new Set([username, stableName(username), username.normalize("NFD")])];
  return sql<boolean>`id in (
    select id from usernames
    where account_id = ${account_id} and username in (${sql.join(written)}) and deleted_at is null
    union all
    select id from usernames
    where account_id = ${account_id} and username_canonical in (${canonical}, ${canonical.normalize("NFD")})
      and deleted_at is null)`;
};

/** The live names of a person, the one that was changed last at the end. */
export async function selectUsernamesOf(
  db: Database,
  account_id: string,
  user_id: string,
): Promise<readonly Username[]> {
  return (await namesOf(db, account_id, user_id).orderBy("updated_at").orderBy("id").execute()).map(decode);
}

/** The same, for whoever changes them by what they say: nobody else does meanwhile. Of more, from before, those changed last. */
export async function holdUsernamesOf(db: Database, account_id: string, user_id: string): Promise<readonly Username[]> {
  const ids = namesOf(db, account_id, user_id).clearSelect().select("id");
  // The one by which codes go is among them, however long ago it was changed.
  const leads = sql`case when mfa is null then 1 else 0 end`;
  const last = ids.orderBy(leads).orderBy("updated_at", "desc").orderBy("id", "desc").limit(MOST_NAMES);
  const names = namesOf(db, account_id, user_id).where("id", "in", last);
  return (await names.orderBy("id").forUpdate().execute()).map(decode);
}

/** As many as there are, and no more than one too many. */
export async function countUsernamesOf(db: Database, account_id: string, user_id: string): Promise<number> {
  const names = namesOf(db, account_id, user_id).clearSelect().select("id");
  return (await names.limit(MOST_NAMES + 1).execute()).length;
}

const namesOf = (db: Database, account_id: string, user_id: string) =>
  db
    .selectFrom("usernames")
    .select(columns.usernames)
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .where("deleted_at", "is", null);

/** Gives a name back whose user is gone, or from which a build from before renamed somebody. */
export async function freeUsername(
  db: Database,
  account_id: string,
  username: string,
  deleted_by: string,
  now: Instant,
): Promise<void> {
  const canonical = canonicalName(username);
  const rows = await db
    .selectFrom("usernames")
    .select(["id", "username"])
    .where("account_id", "=", account_id)
    .where("username_canonical", "=", canonical)
    .where("deleted_at", "is", null)
    .execute();
  // Such a build leaves the form that the former name is found by.
  for (const { id } of rows.filter((row) => canonicalName(row.username) !== canonical)) {
    await db
      .updateTable("usernames")
      .set({ username_canonical: null })
      .where("account_id", "=", account_id)
      .where("id", "=", id)
      .execute();
  }
  await db
    .updateTable("usernames")
    .set({ deleted_at: now, deleted_by, updated_at: now })
    .where("account_id", "=", account_id)
    .where(isNamed(account_id, username))
    .where("deleted_at", "is", null)
    .where(sql<boolean>`not ${ofLiveUser}`)
    .execute();
}

/** @returns false when the name is taken. */
export async function insertUsername(
  db: Database,
  { links, mfa, ...row }: Omit<Username, "deleted_at" | "deleted_by">,
): Promise<boolean> {
  const rows = await db
    .insertInto("usernames")
    .values({
      ...row,
      username_canonical: canonicalName(row.username),
      links: JSON.stringify(links),
      mfa: mfa && JSON.stringify(mfa),
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning("id")
    .execute();
  return rows.length === 1;
}

export interface UsernameChange {
  readonly username?: string;
  readonly links?: readonly Link[];
  readonly mfa?: UsernameMfa | null;
}

/** Whoever changes the name has seen in the same transaction that it is free. @returns undefined when it is gone. */
export async function updateUsername(
  db: Database,
  account_id: string,
  id: string,
  { username, links, mfa }: UsernameChange,
  now: Instant,
): Promise<Username | undefined> {
  const row = await db
    .updateTable("usernames")
    .set({
      ...(username === undefined ? {} : { username, username_canonical: canonicalName(username) }),
      ...(links === undefined ? {} : { links: JSON.stringify(links) }),
      ...(mfa === undefined ? {} : { mfa: mfa && JSON.stringify(mfa) }),
      updated_at: now,
    })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .returning(columns.usernames)
    .executeTakeFirst();
  return row && decode(row);
}

export async function deleteUsername(
  db: Database,
  account_id: string,
  id: string,
  deleted_by: string,
  now: Instant,
): Promise<Username | undefined> {
  const row = await markDeleted<StoredUsername>(db, "usernames", { account_id, id }, deleted_by, now);
  return row && decode(row);
}
