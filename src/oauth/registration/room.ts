import { waitForAccount } from "../../directory/accounts/hold-account.ts";
import { holdNext, lookAtAll, lookUpNext } from "../../directory/clients/untried.ts";
import { type Directory, makeRoomInTurn } from "../../directory/directory.ts";
import { refuse } from "../../errors.ts";
import type { Database, Transaction } from "../../storage/storage.ts";
import { CONSENTS } from "../consents/consent.ts";
import { purgeRegistered } from "./purge-registered.ts";
import { countDocuments, countOpenlyRegistered } from "./store.ts";

/** So many clients of strangers an account keeps: that a document describes, and that registered without a token. */
const kinds = {
  metadata: { most: 10_000, count: countDocuments },
  dynamic: { most: 1_000, count: countOpenlyRegistered },
} as const;

/** Begins the transaction that makes the client. @throws 429 too_many_requests. */
export type MakeRoom = (tx: Transaction) => Promise<void>;

/** Does what makes one more client. @throws 429 too_many_requests; 503, as `makeRoomInTurn`. */
export type Room = <T>(make: (makeRoom: MakeRoom) => Promise<T>) => Promise<T>;

/** For whom there is always room. */
export const ANY_ROOM: Room = (make) => make(async () => {});

/**
 * Room for one more client of a stranger's. Where there is none, another gives way (`directory/clients/untried.ts`), to
 * one newcomer after the other.
 *
 * @throws 429 too_many_requests where none gives way.
 */
export async function findRoom(directory: Directory, account_id: string, origin: keyof typeof kinds): Promise<Room> {
  const { storage } = directory;
  const { most, count } = kinds[origin];
  const isFull = async (db: Database) => (await count(db, account_id)) >= most;
  if (!(await isFull(storage.read))) return ANY_ROOM;
  const full = { account_id, origin, most };
  const looked = await lookAtAll(directory, full);
  if (!(await lookUpNext(storage.read, full, looked, storage.now()))) throw refuse("too_many_requests");
  const makeRoom = async (tx: Transaction) => {
    await waitForAccount(tx, account_id);
    if (!(await isFull(tx.db))) return;
    const client_id = await holdNext(tx, full, looked, storage.now());
    if (client_id === undefined) throw refuse("too_many_requests");
    await purgeRegistered(directory, tx, { account_id, client_id }, CONSENTS);
  };
  return (make) => makeRoomInTurn(directory, account_id, () => make(makeRoom));
}
