import type { Database } from "../storage/storage.ts";
import { selectAnyRevoked } from "./store.ts";

/**
 * Whether one of these was revoked, as committed: also where this process has not read it yet, and as far as
 * revocations are remembered.
 */
export const hasEnded = (db: Database, account_id: string, subjects: readonly string[]): Promise<boolean> =>
  selectAnyRevoked(db, account_id, subjects);
