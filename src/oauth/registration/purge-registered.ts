import { purgeClient } from "../../directory/clients/change-client.ts";
import { forgetClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import type { Transaction } from "../../storage/storage.ts";
import { forgetConsents } from "../consents/consent.ts";
import { deleteRegistration, type Registered } from "./store.ts";

/**
 * Part of a transaction: removes a client that the account did not make, with what was issued to it and what people agreed
 * to at it. Of as many consents as `room`, or more, so many go, and the client another time. @returns how many went.
 */
export async function purgeRegistered(
  directory: Directory,
  tx: Transaction,
  registered: Registered,
  room: number,
): Promise<number> {
  const { account_id, client_id: id } = registered;
  const gone = await forgetConsents(tx, { account_id, id }, room);
  if (gone === room) return gone;
  await deleteRegistration(tx.db, registered);
  const client_id = await purgeClient(tx, account_id, id);
  if (client_id === undefined) return gone;
  await directory.revocations.record(tx, account_id, [`client:${id}`]);
  tx.onDisk(() => forgetClient(directory, { account_id, id, client_id }));
  return gone;
}
