import { sql } from "kysely";
import { inPages, nextTurn, slices } from "../../storage/pages.ts";
import { searchIds } from "../../storage/search.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import { type AccountUser, type AccountUserProfile, EXTERNAL, type Holders } from "./account-user.ts";
import { columns } from "./store.ts";

export interface AccountUserFilter {
  readonly id?: string;
  readonly email_canonical?: string;
}

export type AccountUserRow = Omit<AccountUser, "roles">;
const accountUserColumns = [...columns, "profile", "scope", "last_seen_at"] as const;

const accountUserOf = ({ profile, scope, ...row }: { readonly profile: string; readonly scope: string }) =>
  ({ ...row, profile: JSON.parse(profile), scope: JSON.parse(scope) }) as unknown as AccountUserRow;

/** Whether the account's own provider logs them in. */
export async function selectIsExternal(db: Database, account_id: string, id: string): Promise<boolean> {
  const row = await db
    .selectFrom("users")
    .select("id")
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("profile", "like", EXTERNAL)
    .executeTakeFirst();
  return row !== undefined;
}

/** Their index is for account users alone, and the statement says so in a literal, since a parameter could be anybody. */
function accountUsers(db: Database, account_id: string) {
  return db
    .selectFrom("users")
    .select(accountUserColumns)
    .where("account_id", "=", account_id)
    .where("type", "=", sql.lit("account_user" as const))
    .where("deleted_at", "is", null);
}

export async function selectAccountUser(
  db: Database,
  account_id: string,
  { id, email_canonical }: AccountUserFilter,
): Promise<AccountUserRow | undefined> {
  const row = await accountUsers(db, account_id)
    .$if(id !== undefined, (query) => query.where("id", "=", id ?? ""))
    .$if(email_canonical !== undefined, (query) => query.where("email_canonical", "=", email_canonical ?? ""))
    .executeTakeFirst();
  return row && accountUserOf(row);
}

export interface AccountUserPage {
  readonly limit: number;
  /** id of the last user of the page before. */
  readonly starting_after?: string | undefined;
}

export async function selectAccountUsers(
  db: Database,
  account_id: string,
  { limit, starting_after }: AccountUserPage,
): Promise<readonly AccountUserRow[]> {
  const rows = await accountUsers(db, account_id)
    .where("id", ">", starting_after ?? "")
    .orderBy("id")
    .limit(limit)
    .execute();
  return rows.map(accountUserOf);
}

/** Those of these, in the order of their ids. */
export async function selectAccountUsersById(
  db: Database,
  account_id: string,
  ids: readonly string[],
): Promise<readonly AccountUserRow[]> {
  const rows = await accountUsers(db, account_id).where("id", "in", ids).orderBy("id").execute();
  return rows.map(accountUserOf);
}

/** The ids of those who have this text in their address or name, in their order. */
export function searchAccountUsers(
  db: Database,
  account_id: string,
  { text, limit, starting_after }: AccountUserPage & { readonly text: string },
): Promise<readonly string[]> {
  return searchIds({
    text,
    limit,
    starting_after,
    read: (after, most) =>
      accountUsers(db, account_id)
        .clearSelect()
        .select(["id", "email_canonical", "email", "name"])
        .where("id", ">", after)
        .orderBy("id")
        .limit(most)
        .execute(),
    textsOf: ({ email_canonical, email, name }) => [email_canonical, email, name],
  });
}

/** The roles that each of these users has, deleted ones too. */
export async function selectRoleIds(
  db: Database,
  account_id: string,
  user_ids: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const held = new Map<string, string[]>(user_ids.map((id) => [id, []]));
  if (held.size === 0) return held;
  const rows = await db
    .selectFrom("user_roles")
    .select(["user_id", "role_id"])
    .where("account_id", "=", account_id)
    .where("user_id", "in", user_ids)
    .execute();
  for (const { user_id, role_id } of rows) held.get(user_id)?.push(role_id);
  return held;
}

/** Users looked at, or roles whose scopes a page holds: those of one may be forty thousand characters. */
const PAGE = 50;

/** Scopes as they are stored. */
interface StoredScope {
  readonly id: string;
  readonly scope: string;
}

const isExternal = ({ profile }: { readonly profile: string }) =>
  (JSON.parse(profile) as AccountUserProfile).authentication_type === "external";

/**
 * What account users hold by themselves, and what the live roles hold that they have, each role once. From people to what
 * they have, so that a role that nobody has costs nothing; a page of people, whoever they are, is all that one statement
 * looks at.
 */
export async function* pagesOfScopes(
  db: Database,
  account_id: string,
  { external }: Holders,
): AsyncGenerator<readonly StoredScope[]> {
  const known = new Set<string>();
  const people = inPages<StoredScope & { readonly profile: string }>(PAGE, (last) =>
    accountUsers(db, account_id)
      .clearSelect()
      .select(["id", "scope", "profile"])
      .where("id", ">", last?.id ?? "")
      .orderBy("id")
      .limit(PAGE)
      .execute(),
  );
  for await (const page of people) {
    const holders = external ? page.filter(isExternal) : page;
    yield holders;
    const ids = holders.map(({ id }) => id);
    const held = [...(await selectRoleIds(db, account_id, ids)).values()].flat();
    const further = [...new Set(held)].filter((id) => !known.has(id));
    for (const some of slices(further, PAGE)) {
      for (const id of some) known.add(id);
      yield await selectRoleScopes(db, account_id, some);
      await nextTurn();
    }
  }
}

/** Characters of what a user holds by themselves and by the live roles that they have, as it is stored. */
export async function selectLengthHeld(db: Database, account_id: string, id: string): Promise<number> {
  const { rows } = await sql<{ characters: number }>`select length(u.scope) +
      (select coalesce(sum(length(roles.scope)), 0) from user_roles held
        join roles on roles.account_id = held.account_id and roles.id = held.role_id
        where held.account_id = u.account_id and held.user_id = u.id and roles.deleted_at is null) as characters
    from users u where u.account_id = ${account_id} and u.id = ${id}`.execute(db);
  return Number(rows[0]?.characters ?? 0);
}

function selectRoleScopes(db: Database, account_id: string, ids: readonly string[]): Promise<readonly StoredScope[]> {
  return db
    .selectFrom("roles")
    .select(["id", "scope"])
    .where("account_id", "=", account_id)
    .where("id", "in", ids)
    .where("deleted_at", "is", null)
    .execute();
}

/** Ids of a page. */
const IDS = 1_000;

/** Who has a role. */
export function pagesOfHolders(
  db: Database,
  account_id: string,
  role_id: string,
): AsyncIterable<readonly { readonly user_id: string }[]> {
  return inPages<{ readonly user_id: string }>(IDS, (last) =>
    db
      .selectFrom("user_roles")
      .select("user_id")
      .where("account_id", "=", account_id)
      .where("role_id", "=", role_id)
      .where("user_id", ">", last?.user_id ?? "")
      .orderBy("user_id")
      .limit(IDS)
      .execute(),
  );
}

/** What live account users hold by themselves, as it is stored. */
export function selectOwnScopes(
  db: Database,
  account_id: string,
  ids: readonly string[],
): Promise<readonly { readonly id: string; readonly scope: string }[]> {
  return accountUsers(db, account_id).clearSelect().select(["id", "scope"]).where("id", "in", ids).execute();
}

export async function replaceUserRoles(
  db: Database,
  account_id: string,
  user_id: string,
  role_ids: readonly string[],
): Promise<void> {
  await db.deleteFrom("user_roles").where("account_id", "=", account_id).where("user_id", "=", user_id).execute();
  const rows = [...new Set(role_ids)].map((role_id) => ({ account_id, user_id, role_id }));
  if (rows.length > 0) await db.insertInto("user_roles").values(rows).execute();
}

export interface AccountUserChange {
  readonly name?: string;
  readonly scope?: readonly string[];
  readonly profile: AccountUserProfile;
}

export async function updateAccountUser(
  db: Database,
  account_id: string,
  id: string,
  { name, scope, profile }: AccountUserChange,
  now: Instant,
): Promise<void> {
  await db
    .updateTable("users")
    .set({
      ...(name === undefined ? {} : { name }),
      ...(scope === undefined ? {} : { scope: JSON.stringify(scope) }),
      profile: JSON.stringify(profile),
      updated_at: now,
    })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .execute();
}

/**
 * Every account that a verified address belongs to; the one lookup that crosses accounts. By an index as `accountUsers`.
 */
export function selectAccountsOfAddress(
  db: Database,
  email_canonical: string,
): Promise<readonly { readonly account_id: string; readonly id: string }[]> {
  return db
    .selectFrom("users")
    .select(["account_id", "id"])
    .where("email_canonical", "=", email_canonical)
    .where("type", "=", sql.lit("account_user" as const))
    .where("deleted_at", "is", null)
    .where("email_verified_at", "is not", null)
    .orderBy("account_id")
    .limit(100)
    .execute();
}

/** Of everybody who has a role: how many characters their other live roles hold, of which those up to `short` hold none. */
export function pagesOfOtherRoles(
  db: Database,
  account_id: string,
  role_id: string,
  short: number,
): AsyncIterable<readonly { readonly user_id: string; readonly characters: number }[]> {
  return inPages<{ readonly user_id: string; readonly characters: number }>(PAGE, async (last) => {
    const { rows } = await sql<{ user_id: string; characters: number }>`select held.user_id,
      (select coalesce(sum(length(roles.scope)), 0) from user_roles other
        join roles on roles.account_id = other.account_id and roles.id = other.role_id
        where other.account_id = held.account_id and other.user_id = held.user_id and other.role_id <> held.role_id
          and roles.deleted_at is null and length(roles.scope) > ${short}) as characters
      from user_roles held
      where held.account_id = ${account_id} and held.role_id = ${role_id} and held.user_id > ${last?.user_id ?? ""}
      order by held.user_id limit ${PAGE}`.execute(db);
    return rows.map(({ user_id, characters }) => ({ user_id, characters: Number(characters) }));
  });
}
