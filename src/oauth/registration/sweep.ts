import { instant, type Storage } from "../../storage/storage.ts";
import { deleteRegistered, selectUnused } from "./store.ts";

/** For the janitor: clients that registered themselves and that nobody has used for a month. */
export const registrationSweep = {
  name: "unused clients",
  sweep: (storage: Storage, batch: number) =>
    storage.write(async (tx) => {
      const unused = await selectUnused(tx.db, instant(storage.now()), batch);
      for (const registration of unused) await deleteRegistered(tx.db, registration);
      return unused.length;
    }),
};
