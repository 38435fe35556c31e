import { instant, type Storage } from "../../storage/storage.ts";
import { deleteExpired } from "./store.ts";

/** For the janitor: redeemed authorization codes are remembered for an hour. */
export const redeemedSweep = {
  name: "redeemed authorization codes",
  sweep: (storage: Storage, batch: number) =>
    storage.write((tx) => deleteExpired(tx.db, instant(storage.now()), batch)),
};
