import type { Directory } from "../../directory/directory.ts";
import { instant } from "../../storage/storage.ts";
import type { Family } from "./family.ts";
import { type PersonsFamilies, selectFamily, updateRevoked, updateRevokedOf } from "./store.ts";

/** Ends a family with every access token of it. */
export async function revokeFamily(
  { storage, revocations }: Directory,
  { account_id, id }: Pick<Family, "account_id" | "id">,
): Promise<void> {
  const revoked = { account_id, subject: `sid:${id}` };
  await storage.write(async (tx) => {
    await updateRevoked(tx.db, account_id, id, instant(storage.now()));
    await revocations.record(tx, revoked);
  });
  revocations.announce(revoked);
}

/** Ends every family of a person but the one at hand, because their password has changed. */
export async function revokeFamiliesOf({ storage, revocations }: Directory, person: PersonsFamilies): Promise<void> {
  const { account_id } = person;
  const ended = await storage.write(async (tx) => {
    const ids = await updateRevokedOf(tx.db, person, instant(storage.now()));
    for (const id of ids) await revocations.record(tx, { account_id, subject: `sid:${id}` });
    return ids;
  });
  for (const id of ended) revocations.announce({ account_id, subject: `sid:${id}` });
}

export function lookUpFamily({ storage }: Directory, account_id: string, id: string): Promise<Family | undefined> {
  return selectFamily(storage.read, account_id, id);
}
