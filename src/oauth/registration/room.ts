import { holdUntried, lookForUntried } from "../../directory/clients/untried.ts";
import type { Directory } from "../../directory/directory.ts";
import { refuse } from "../../errors.ts";
import type { Transaction } from "../../storage/storage.ts";
import { CONSENTS } from "../consents/consent.ts";
import { purgeRegistered } from "./purge-registered.ts";
import { countDocuments, countOpenlyRegistered } from "./store.ts";

/** So many clients of strangers an account keeps: that a document describes, and that registered without a token. */
const kinds = {
  metadata: { most: 10_000, count: countDocuments },
  dynamic: { most: 1_000, count: countOpenlyRegistered },
} as const;

/** Part of the transaction that makes the client. @throws 429 too_many_requests. */
export type MakeRoom = (tx: Transaction) => Promise<void>;

/**
 * Room for one more client of a stranger's. Where there is none, the longest unused that nobody agreed to, or only
 * people who agreed to many others since, gives way; where there is no such, the longest of those that nobody has used for a
 * week. So no stranger keeps anybody out for long.
 *
 * @throws 429 too_many_requests where none gives way.
 */
export async function findRoom(
  directory: Directory,
  account_id: string,
  origin: keyof typeof kinds,
): Promise<MakeRoom> {
  const { storage } = directory;
  const { most, count } = kinds[origin];
  if ((await count(storage.read, account_id)) < most) return async () => {};
  const of = { account_id, origin };
  const place = await lookForUntried(directory, of);
  if (!place) throw refuse("too_many_requests");
  return async (tx) => {
    const client_id = await holdUntried(tx, of, place, storage.now());
    if (client_id === undefined) throw refuse("too_many_requests");
    await purgeRegistered(directory, tx, { account_id, client_id }, CONSENTS);
  };
}
