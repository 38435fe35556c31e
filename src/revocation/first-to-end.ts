import { type Database, instant } from "../storage/storage.ts";
import { TOKENS_LIVE } from "./revocation.ts";

/**
 * Whether nothing has ended this yet, as far as revocations are remembered: of several at once, for one alone. Part of the
 * transaction that then records it. `now` in milliseconds.
 */
export async function isFirstToEnd(db: Database, account_id: string, subject: string, now: number): Promise<boolean> {
  const [revoked_at, expires_at] = [instant(now), instant(now + TOKENS_LIVE)];
  const rows = await db
    .insertInto("revocations")
    .values({ account_id, subject, revoked_at, expires_at })
    .onConflict((conflict) =>
      conflict
        .columns(["account_id", "subject"])
        .doUpdateSet({ revoked_at, expires_at })
        .where("revocations.expires_at", "<=", revoked_at),
    )
    .returning("subject")
    .execute();
  return rows.length > 0;
}
