import { expirySweep } from "../storage/delete-expired.ts";
import { hotSource } from "../storage/hot-sources.ts";
import { insertOnce } from "../storage/insert-once.ts";
import { type Database, type Instant, instant } from "../storage/storage.ts";

export interface UsedToken {
  readonly account_id: string;
  /** Its jti, behind what kind of token it is; of an mfa_token the uuid of the login that it holds. */
  readonly id: string;
  /** It stays known until a few minutes later. */
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

/**
 * Until when a used token of ours is known, by when it is over, in milliseconds: a clock that jumps ahead for a day and
 * is set back makes none good again. What clients sign is good for minutes, and anybody makes as much as they like.
 */
export const knownUntil = (over: number): Instant => instant(over + 86_400_000);

/** Of several processes one may be minutes behind. */
export const usedSweep = expirySweep("used tokens", { table: "used_tokens", key: ["id"] }, 300_000);
