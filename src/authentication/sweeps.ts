import { deleteExpired } from "../storage/delete-expired.ts";
import { instant, type Storage } from "../storage/storage.ts";

const HOUR = 3_600_000;

const expired = (
  name: string,
  table: "used_tokens" | "contact_challenges" | "signups",
  key: string,
  remembered = HOUR,
) => ({
  name,
  sweep: (storage: Storage, batch: number) =>
    storage.write((tx) => deleteExpired(tx.db, { table, key }, instant(storage.now() - remembered), batch)),
});

/** For the janitor. A used token stays known for a day: a clock that jumps ahead and is set back makes none good again. */
export const sweeps = [
  expired("used tokens", "used_tokens", "id", 24 * HOUR),
  expired("address changes", "contact_challenges", "user_id"),
  expired("sign-ups", "signups", "id"),
];
