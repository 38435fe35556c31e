import { TOKENS_LIVE } from "../../revocation/revocation.ts";
import { deleteExpired } from "../../storage/delete-expired.ts";
import { instant, type Storage } from "../../storage/storage.ts";

const expired = (
  name: string,
  table: "authorization_requests" | "device_codes" | "sessions" | "session_authorizations",
  key: string,
  kept = 0,
) => ({
  name,
  sweep: (storage: Storage, batch: number) =>
    storage.write((tx) => deleteExpired(tx.db, { table, key }, instant(storage.now() - kept), batch)),
});

/**
 * For the janitor. What a session led to is known until every access token of it is over, so that taking back consent ends those
 * too.
 */
export const browserSweeps = [
  expired("authorization requests", "authorization_requests", "id"),
  expired("device codes", "device_codes", "id"),
  expired("browser sessions", "sessions", "id", TOKENS_LIVE),
  expired("authorizations of sessions", "session_authorizations", "session_id", TOKENS_LIVE),
];
