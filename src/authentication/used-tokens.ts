import { insertOnce } from "../storage/insert-once.ts";
import type { Instant } from "../storage/storage.ts";

export interface UsedToken {
  readonly account_id: string;
  /** Its jti, behind what kind of token it is. */
  readonly id: string;
  readonly expires_at: Instant;
}

/** Says that a token was used, and whether that was the first time. */
export const useStatement = insertOnce<UsedToken>({
  name: "use_token",
  source: import.meta.url,
  table: "used_tokens",
  columns: { account_id: "text", id: "text", expires_at: "text" },
});
