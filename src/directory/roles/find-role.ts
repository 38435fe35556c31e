import type { Database } from "../../storage/storage.ts";
import type { Directory } from "../directory.ts";
import type { Role } from "./role.ts";
import { selectRolesById } from "./store.ts";

/** The live ones of these; as committed, or as a transaction sees them. */
export function findRolesOf(
  { storage }: Directory,
  account_id: string,
  ids: readonly string[],
  db: Database = storage.read,
): Promise<readonly Role[]> {
  return selectRolesById(db, account_id, [...new Set(ids)]);
}
