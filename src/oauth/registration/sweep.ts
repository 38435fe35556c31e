import type { Directory } from "../../directory/directory.ts";
import { instant, type Storage, type Transaction } from "../../storage/storage.ts";
import { CONSENTS } from "../consents/consent.ts";
import { purgeRegistered } from "./purge-registered.ts";
import { holdUnused, selectUnused } from "./store.ts";

/**
 * For the janitor: clients that registered themselves and that nobody has used for a month, with what was issued to them
 * and what people agreed to at them.
 */
export const registrationSweep = (directory: Directory) => ({
  name: "unused clients",
  sweep: (storage: Storage, batch: number) => storage.write((tx) => removeUnused(directory, tx, batch)),
});

/** @returns how many were looked at; as many as asked for where more of them are left. */
async function removeUnused(directory: Directory, tx: Transaction, batch: number): Promise<number> {
  const now = instant(directory.storage.now());
  const unused = await selectUnused(tx.db, now, batch);
  let room = CONSENTS;
  for (const registration of unused) {
    if (!(await holdUnused(tx.db, registration, now))) continue;
    room -= await purgeRegistered(directory, tx, registration, room);
    // What is left of them goes next time, and then the client.
    if (room === 0) return batch;
  }
  return unused.length;
}
