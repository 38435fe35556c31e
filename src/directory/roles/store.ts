import { markDeleted } from "../../storage/mark-deleted.ts";
import { searchIds } from "../../storage/search.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import { columns } from "../../storage/tables.ts";
import type { Role } from "./role.ts";

type StoredRole = Omit<Role, "scope"> & { readonly scope: string };

const decode = (row: StoredRole): Role => ({ ...row, scope: JSON.parse(row.scope) as string[] });

export interface RoleFilter {
  readonly name?: string | undefined;
  readonly include_deleted: boolean;
  readonly limit: number;
  /** id of the last role of the page before. */
  readonly starting_after?: string | undefined;
}

export async function selectRoles(db: Database, account_id: string, filter: RoleFilter): Promise<readonly Role[]> {
  const rows = await listedRoles(db, account_id, filter)
    .select(columns.roles)
    .where("id", ">", filter.starting_after ?? "")
    .orderBy("id")
    .limit(filter.limit)
    .execute();
  return rows.map(decode);
}

/** The ids of those in whose id, name or description a text is found, whatever the case. */
export function searchRoles(
  db: Database,
  account_id: string,
  { text, ...filter }: RoleFilter & { readonly text: string },
): Promise<readonly string[]> {
  return searchIds({
    text,
    limit: filter.limit,
    starting_after: filter.starting_after,
    read: (after, most) =>
      listedRoles(db, account_id, filter)
        .select(["id", "name", "description"])
        .where("id", ">", after)
        .orderBy("id")
        .limit(most)
        .execute(),
    textsOf: ({ id, name, description }) => [id, name, description],
  });
}

/** Those of these, in the order of their ids. */
export async function selectListed(
  db: Database,
  account_id: string,
  filter: RoleFilter,
  ids: readonly string[],
): Promise<readonly Role[]> {
  const listed = listedRoles(db, account_id, filter).select(columns.roles).where("id", "in", ids);
  return (await listed.orderBy("id").execute()).map(decode);
}

function listedRoles(db: Database, account_id: string, { name, include_deleted }: RoleFilter) {
  return db
    .selectFrom("roles")
    .where("account_id", "=", account_id)
    .$if(!include_deleted, (query) => query.where("deleted_at", "is", null))
    .$if(name !== undefined, (query) => query.where("name", "=", name ?? ""));
}

export async function selectRole(db: Database, account_id: string, id: string): Promise<Role | undefined> {
  const row = await db
    .selectFrom("roles")
    .select(columns.roles)
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .executeTakeFirst();
  return row && decode(row);
}

/** Live ones of these. */
export async function selectRolesById(
  db: Database,
  account_id: string,
  ids: readonly string[],
): Promise<readonly Role[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom("roles")
    .select(columns.roles)
    .where("account_id", "=", account_id)
    .where("id", "in", ids)
    .where("deleted_at", "is", null)
    .orderBy("id")
    .execute();
  return rows.map(decode);
}

/** How many characters the scopes of the live ones of these have, as they are stored. */
export async function selectLengths(db: Database, account_id: string, ids: readonly string[]): Promise<number[]> {
  const rows = await db
    .selectFrom("roles")
    .select((eb) => eb.fn<number>("length", ["scope"]).as("characters"))
    .where("account_id", "=", account_id)
    .where("id", "in", ids)
    .where("deleted_at", "is", null)
    .execute();
  return rows.map(({ characters }) => Number(characters));
}

export async function selectLiveIds(
  db: Database,
  account_id: string,
  ids: readonly string[],
): Promise<readonly string[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom("roles")
    .select("id")
    .where("account_id", "=", account_id)
    .where("id", "in", ids)
    .where("deleted_at", "is", null)
    .execute();
  return rows.map(({ id }) => id);
}

export async function insertRole(db: Database, { scope, ...role }: Omit<Role, "deleted_at" | "deleted_by">) {
  await db
    .insertInto("roles")
    .values({ ...role, scope: JSON.stringify(scope) })
    .execute();
}

export interface RoleChange {
  readonly name: string | null;
  readonly description: string | null;
  readonly scope: readonly string[];
}

/** The role, held until this transaction ends. @returns when it was changed last; undefined when it is gone. */
export async function holdRole(db: Database, account_id: string, id: string): Promise<Instant | undefined> {
  const [row] = await db
    .updateTable("roles")
    .set((eb) => ({ updated_at: eb.ref("updated_at") }))
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .returning("updated_at")
    .execute();
  return row?.updated_at;
}

export async function updateRole(
  db: Database,
  account_id: string,
  id: string,
  { scope, ...change }: RoleChange,
  now: Instant,
): Promise<void> {
  await db
    .updateTable("roles")
    .set({ ...change, scope: JSON.stringify(scope), updated_at: now })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .execute();
}

export async function deleteRole(
  db: Database,
  account_id: string,
  id: string,
  deleted_by: string,
  now: Instant,
): Promise<Role | undefined> {
  const row = await markDeleted<StoredRole>(db, "roles", { account_id, id }, deleted_by, now);
  return row && decode(row);
}
