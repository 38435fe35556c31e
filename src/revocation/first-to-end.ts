import { type Database, instant } from "../storage/storage.ts";
import { TOKENS_LIVE } from "./revocation.ts";
import { upsertFirst } from "./store.ts";

/**
 * Whether nothing has ended this yet, as far as revocations are remembered: of several at once, for one alone. Part of the
 * transaction that then records it. `now` in milliseconds.
 */
export function isFirstToEnd(db: Database, account_id: string, subject: string, now: number): Promise<boolean> {
  return upsertFirst(db, account_id, subject, instant(now), instant(now + TOKENS_LIVE));
}
