import { noSuch } from "../../errors.ts";
import type { Database } from "../../storage/storage.ts";
import type { Directory } from "../directory.ts";
import type { Role } from "./role.ts";
import { type RoleFilter, selectLiveIds, selectRole, selectRoles, selectRolesById } from "./store.ts";

/** The live ones of these; as committed, or as a transaction sees them. */
export function findRolesOf(
  { storage }: Directory,
  account_id: string,
  ids: readonly string[],
  db: Database = storage.read,
): Promise<readonly Role[]> {
  return selectRolesById(db, account_id, [...new Set(ids)]);
}

/** The ids of the live ones of these; as committed, or as a transaction sees them. */
export function findLiveOf(
  { storage }: Directory,
  account_id: string,
  ids: readonly string[],
  db: Database = storage.read,
): Promise<readonly string[]> {
  return selectLiveIds(db, account_id, ids);
}

export function listRoles({ storage }: Directory, account_id: string, filter: RoleFilter): Promise<readonly Role[]> {
  return selectRoles(storage.read, account_id, filter);
}

/** As committed. @throws 404 not_found. */
export async function findRole({ storage }: Directory, account_id: string, id: string): Promise<Role> {
  const role = await selectRole(storage.read, account_id, id);
  if (!role) throw noSuch("role");
  return role;
}

/** All of them, as committed. @throws 404 not_found when one is missing. */
export async function findRoles(
  { storage }: Directory,
  account_id: string,
  ids: readonly string[],
): Promise<readonly Role[]> {
  const distinct = [...new Set(ids)];
  const roles = await selectRolesById(storage.read, account_id, distinct);
  if (roles.length < distinct.length) throw noSuch("role");
  return roles;
}
