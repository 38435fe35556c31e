import { purgeClient } from "../../directory/clients/change-client.ts";
import { forgetClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { instant, type Storage, type Transaction } from "../../storage/storage.ts";
import { CONSENTS, forgetConsents } from "../consents/consent.ts";
import { deleteRegistration, holdUnused, selectUnused } from "./store.ts";

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
  const { storage, revocations } = directory;
  const now = instant(storage.now());
  const unused = await selectUnused(tx.db, now, batch);
  let room = CONSENTS;
  for (const registration of unused) {
    if (!(await holdUnused(tx.db, registration, now))) continue;
    const { account_id, client_id: id } = registration;
    room -= await forgetConsents(tx, { account_id, id }, room);
    // What is left of them goes next time, and then the client.
    if (room === 0) return batch;
    await deleteRegistration(tx.db, registration);
    const client_id = await purgeClient(tx, account_id, id);
    if (client_id === undefined) continue;
    await revocations.record(tx, account_id, [`client:${id}`]);
    tx.onDisk(() => forgetClient(directory, { account_id, id, client_id }));
  }
  return unused.length;
}
