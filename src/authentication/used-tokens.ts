import { expirySweep } from "../storage/delete-expired.ts";
import { hotSource } from "../storage/hot-sources.ts";
import { insertOnce } from "../storage/insert-once.ts";
import type { Database, Instant } from "../storage/storage.ts";

export interface UsedToken {
  readonly account_id: string;
  /** Its jti, behind what kind of token it is; of an mfa_token the uuid of the login that it holds. */
  readonly id: string;
  readonly expires_at: Instant;
}

/** Says that a token was used, and whether that was the first time. */
export const useStatement = insertOnce<UsedToken>({
  name: "use_token",
  source: hotSource(import.meta.url),
  table: "used_tokens",
  columns: { account_id: "text", id: "text", expires_at: "text" },
});

export async function wasUsed(db: Database, account_id: string, id: string): Promise<boolean> {
  const row = await db
    .selectFrom("used_tokens")
    .select("id")
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .executeTakeFirst();
  return row !== undefined;
}

/** A used token stays known for a day: a clock that jumps ahead and is set back makes none good again. */
export const usedSweep = expirySweep("used tokens", { table: "used_tokens", key: ["id"] }, 86_400_000);
