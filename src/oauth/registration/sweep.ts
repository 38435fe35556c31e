import { forgetClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { instant, type Storage, type Transaction } from "../../storage/storage.ts";
import { deleteRegistered, deleteUnused, selectUnused } from "./store.ts";

/** For the janitor: clients that registered themselves and that nobody has used for a month, with what was issued to them. */
export const registrationSweep = (directory: Directory) => ({
  name: "unused clients",
  async sweep(storage: Storage, batch: number): Promise<number> {
    const { found, gone } = await storage.write((tx) => removeUnused(directory, tx, batch));
    for (const client of gone) {
      directory.revocations.announce(revokedOf(client));
      forgetClient(directory, client);
    }
    return found;
  },
});

interface Gone {
  readonly account_id: string;
  /** The client's uuid. */
  readonly id: string;
  readonly client_id: string;
}

const revokedOf = ({ account_id, id }: Gone) => ({ account_id, subject: `client:${id}` });

async function removeUnused({ storage, revocations }: Directory, tx: Transaction, batch: number) {
  const now = instant(storage.now());
  const gone: Gone[] = [];
  const unused = await selectUnused(tx.db, now, batch);
  for (const registration of unused) {
    if (!(await deleteUnused(tx.db, registration, now))) continue;
    const client_id = await deleteRegistered(tx.db, registration);
    if (client_id === undefined) continue;
    const client = { account_id: registration.account_id, id: registration.client_id, client_id };
    await revocations.record(tx, revokedOf(client));
    gone.push(client);
  }
  return { found: unused.length, gone };
}
