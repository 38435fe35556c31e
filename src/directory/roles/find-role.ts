import type { Directory } from "../directory.ts";
import type { Role } from "./role.ts";
import { selectRolesById } from "./store.ts";

/** The live ones of these, as committed. */
export function findRolesOf(
  { storage }: Directory,
  account_id: string,
  ids: readonly string[],
): Promise<readonly Role[]> {
  return selectRolesById(storage.read, account_id, [...new Set(ids)]);
}
