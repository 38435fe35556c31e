import { deleteExpired } from "../storage/delete-expired.ts";
import { instant, type Storage } from "../storage/storage.ts";

const expired = (name: string, table: "used_tokens" | "contact_challenges" | "signups", key: string) => ({
  name,
  sweep: (storage: Storage, batch: number) =>
    storage.write((tx) => deleteExpired(tx.db, { table, key }, instant(storage.now() - REMEMBERED), batch)),
});

/** Clocks differ a little: what is used stays known somewhat longer than it would be good for. */
const REMEMBERED = 3_600_000;

/** For the janitor. */
export const sweeps = [
  expired("used tokens", "used_tokens", "id"),
  expired("address changes", "contact_challenges", "user_id"),
  expired("sign-ups", "signups", "id"),
];
