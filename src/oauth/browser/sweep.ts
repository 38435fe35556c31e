import { deleteExpired } from "../../storage/delete-expired.ts";
import { instant, type Storage } from "../../storage/storage.ts";

const expired = (
  name: string,
  table: "authorization_requests" | "device_codes" | "sessions" | "session_authorizations",
  key: string,
) => ({
  name,
  sweep: (storage: Storage, batch: number) =>
    storage.write((tx) => deleteExpired(tx.db, { table, key }, instant(storage.now()), batch)),
});

/** For the janitor. */
export const browserSweeps = [
  expired("authorization requests", "authorization_requests", "id"),
  expired("device codes", "device_codes", "id"),
  expired("browser sessions", "sessions", "id"),
  expired("authorizations of sessions", "session_authorizations", "session_id"),
];
