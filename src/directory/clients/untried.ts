import { instant, type Storage, type Transaction } from "../../storage/storage.ts";
import type { Client } from "./client.ts";
import { holdUntried, selectUntried, updateTried } from "./store.ts";

/** So long somebody who came by a client, or used it, may still be logging in at it; milliseconds. */
const STAYS = 3_600_000;

/** Of an account, and where they came from. */
export type Strangers = Pick<Client, "account_id" | "origin">;

/**
 * Whether a stranger's client would give way to another: nobody has come by it, agreed to it or used it for an hour, nobody
 * has it among what they agreed to last, and the account has neither set anything at it nor given it a grant.
 */
export async function doesAnyGiveWay({ read, now }: Storage, of: Strangers): Promise<boolean> {
  return (await selectUntried(read, of, instant(now() - STAYS))) !== undefined;
}

/** Part of a transaction: the uuid of the one that has waited longest, held; undefined where none gives way. `now` in milliseconds. */
export function holdLongestUntried({ db }: Transaction, of: Strangers, now: number): Promise<string | undefined> {
  return holdUntried(db, of, instant(now - STAYS));
}

/**
 * Part of a transaction in which somebody agrees to something at a client, or uses it: a stranger's waits anew, if it waits since
 * before `before`. What is noted already for longer than it needs is not noted again. Both in milliseconds.
 */
export function noteTried(
  { db }: Transaction,
  { account_id, id }: Pick<Client, "account_id" | "id">,
  now: number,
  before = now - STAYS / 2,
): Promise<void> {
  return updateTried(db, { account_id, id }, instant(before), instant(now));
}
