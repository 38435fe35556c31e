import { deleteExpired } from "../../storage/delete-expired.ts";
import { instant, type Storage } from "../../storage/storage.ts";

/** For the janitor: redeemed authorization codes are remembered for an hour. */
export const redeemedSweep = {
  name: "redeemed authorization codes",
  sweep: (storage: Storage, batch: number) =>
    storage.write((tx) =>
      deleteExpired(tx.db, { table: "redeemed_authorization_codes", key: "id" }, instant(storage.now()), batch),
    ),
};
