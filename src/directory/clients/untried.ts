import { type Database, type Instant, instant, type Transaction } from "../../storage/storage.ts";
import { cacheKey, type Directory } from "../directory.ts";
import type { Client } from "./client.ts";
import { type Since, type Strangers, selectUntried, updateTried } from "./untried-store.ts";

/** So long somebody who came by a client, or used it, may still be logging in at it; milliseconds. */
const STAYS = 3_600_000;
/** So long whoever agreed to a client keeps it though nobody uses it, where all are kept; milliseconds. */
const KEPT_UNUSED = 7 * 86_400_000;

const since = (now: number): Since => ({ unkept: instant(now - STAYS), kept: instant(now - KEPT_UNUSED) });

/** How far looks came: all that wait since before that are kept. */
export interface Place {
  from: Instant;
}

/** @returns the uuid of the first that gives way. Where it has come to, the next look begins. */
async function lookOn(db: Database, of: Strangers, place: Place, now: number, held = false) {
  const { id, from } = await selectUntried(db, of, place.from, since(now), held);
  place.from = from;
  return id;
}

/**
 * Whether a stranger's client would give way to another: nobody has come by it, agreed to it or used it for an hour, and the
 * account has neither set anything at it nor given it a grant. Those that somebody who lives has among what they agreed to last
 * are kept: they give way where there is no other, and nobody has used them for a week.
 *
 * A look passes by all that are kept, of which there may be ten thousand: for a minute, others go on from where it came to.
 *
 * @returns undefined where none would.
 */
export async function lookForUntried({ untried, storage }: Directory, of: Strangers): Promise<Place | undefined> {
  const place = await untried.get(cacheKey(of.account_id, of.origin), async () => {
    const beginning = { from: "" };
    await lookOn(storage.read, of, beginning, storage.now());
    return beginning;
  });
  return place && (await lookOn(storage.read, of, place, storage.now())) !== undefined ? place : undefined;
}

/** Part of a transaction: the uuid of the one that gives way, held; undefined where none does. `now` in milliseconds. */
export function holdUntried(
  { db }: Transaction,
  of: Strangers,
  place: Place,
  now: number,
): Promise<string | undefined> {
  return lookOn(db, of, place, now, true);
}

/** Whether it waits so long that what is done at it would be noted: a stranger's client may give way soon. */
export const waitsLong = ({ untried_since }: Client, now: number): boolean =>
  untried_since !== null && untried_since < instant(notedBefore(now));

const notedBefore = (now: number) => now - STAYS / 2;

/**
 * Part of a transaction in which somebody agrees to something at a client, opens a login there or uses it: a stranger's waits
 * anew, if it waits since before `before`. What is noted already for longer than it needs is not noted again. Both in milliseconds.
 */
export function noteTried(
  { db }: Transaction,
  { account_id, id }: Pick<Client, "account_id" | "id">,
  now: number,
  before = notedBefore(now),
): Promise<void> {
  return updateTried(db, { account_id, id }, instant(before), instant(now));
}
