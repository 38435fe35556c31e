import { deleteExpired } from "../../storage/delete-expired.ts";
import { instant, type Storage } from "../../storage/storage.ts";

/** Milliseconds after its expiry: a clock that jumps ahead and is set back makes no code good again. */
const REMEMBERED = 86_400_000;

/** For the janitor: redeemed authorization codes are remembered for a day longer than they are looked for. */
export const redeemedSweep = {
  name: "redeemed authorization codes",
  sweep: (storage: Storage, batch: number) =>
    storage.write((tx) =>
      deleteExpired(
        tx.db,
        { table: "redeemed_authorization_codes", key: "id" },
        instant(storage.now() - REMEMBERED),
        batch,
      ),
    ),
};
