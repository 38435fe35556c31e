import type { Database, Instant } from "../../storage/storage.ts";

export interface UsedToken {
  readonly account_id: string;
  /** Its jti. */
  readonly id: string;
  readonly expires_at: Instant;
}

/** @returns false when it was used before. */
export async function insertUsedToken(db: Database, used: UsedToken): Promise<boolean> {
  const rows = await db
    .insertInto("used_tokens")
    .values(used)
    .onConflict((conflict) => conflict.columns(["account_id", "id"]).doNothing())
    .returning("id")
    .execute();
  return rows.length === 1;
}
