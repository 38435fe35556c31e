import { TOKENS_LIVE } from "../../revocation/revocation.ts";
import { deleteExpired } from "../../storage/delete-expired.ts";
import { instant, type Storage } from "../../storage/storage.ts";

/** For the janitor: families whose time is over, and whose last access token's is. */
export const familySweep = {
  name: "refresh tokens",
  sweep: (storage: Storage, batch: number) =>
    storage.write((tx) =>
      deleteExpired(tx.db, { table: "refresh_families", key: "id" }, instant(storage.now() - TOKENS_LIVE), batch),
    ),
};
