import { purgeClient } from "../../directory/clients/change-client.ts";
import { forgetClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { instant, type Storage, type Transaction } from "../../storage/storage.ts";
import { forgetConsents } from "../consents/consent.ts";
import { deleteUnused, selectUnused } from "./store.ts";

/**
 * For the janitor: clients that registered themselves and that nobody has used for a month, with what was issued to them
 * and what people agreed to at them.
 */
export const registrationSweep = (directory: Directory) => ({
  name: "unused clients",
  sweep: (storage: Storage, batch: number) => storage.write((tx) => removeUnused(directory, tx, batch)),
});

/** @returns how many were looked at. */
async function removeUnused(directory: Directory, tx: Transaction, batch: number): Promise<number> {
  const now = instant(directory.storage.now());
  const unused = await selectUnused(tx.db, now, batch);
  for (const registration of unused) {
    if (!(await deleteUnused(tx.db, registration, now))) continue;
    const { account_id, client_id: id } = registration;
    const client_id = await purgeClient(tx, account_id, id);
    await forgetConsents(tx, account_id, id);
    if (client_id === undefined) continue;
    await directory.revocations.record(tx, account_id, [`client:${id}`]);
    tx.onDisk(() => forgetClient(directory, { account_id, id, client_id }));
  }
  return unused.length;
}
