/**
 * Which of strangers' clients gives way where an account has no room for another: a segmented LRU cache.
 *
 * A tenth of the room is for those that nobody keeps; who lives keeps the last twenty that they agreed to. Where as
 * many as that are not kept, the longest unused of them gives way; where fewer are, the longest unused kept one that
 * nobody has used for a week, and where there is none, the longest unused that nobody keeps. What the account has set or
 * granted anything at gives way to none.
 */
import { type Database, type Instant, instant, type Transaction } from "../../storage/storage.ts";
import { cacheKey, type Directory } from "../directory.ts";
import type { Client } from "./client.ts";
import { holdUnused, type Strangers, selectKept, selectUnkept, type Untried, updateTried } from "./untried-store.ts";

/** This part of a room is for those that nobody keeps. */
const SHARE = 10;
/** Nobody has used a kept one for so long where it gives way; milliseconds. */
const KEPT_UNUSED = 7 * 86_400_000;
/** What came or was used so lately is looked at each time: it may not be committed yet. Milliseconds. */
const LATELY = 60_000;
/** After all instants that are written. */
const EVER = "9";

/** The clients that share a room for `most`. */
export interface Room extends Strangers {
  readonly most: number;
}

/** What a look at all found, which may pass by ten thousand that are kept; for a minute others go on from there. */
export interface Looked {
  /** All that were last used before that are kept. */
  from: Instant;
  /** It saw those that were last used before. */
  readonly until: Instant;
  /** So many of them nobody kept; more than a tenth were not counted. */
  readonly unkept: number;
}

export async function lookAtAll({ untried, storage }: Directory, room: Room): Promise<Looked> {
  const looked = await untried.get(cacheKey(room.account_id, room.origin), async () => {
    const until = instant(storage.now() - LATELY);
    const unkept = await selectUnkept(storage.read, room, "", until, room.most / SHARE);
    return { from: unkept[0]?.untried_since ?? until, until, unkept: unkept.length };
  });
  return looked as Looked;
}

/** @returns the one that gives way next; undefined where none does. `now` in milliseconds. */
export async function lookUpNext(db: Database, room: Room, looked: Looked, now: number): Promise<Untried | undefined> {
  const { until } = looked;
  const unkept = async () => {
    const [first] = await selectUnkept(db, room, looked.from, EVER, 1);
    looked.from = first && first.untried_since < until ? first.untried_since : until;
    return first;
  };
  const kept = () => selectKept(db, room, instant(now - KEPT_UNUSED));
  const few = room.most / SHARE - looked.unkept;
  const are_few = few > 0 && (await selectUnkept(db, room, until, EVER, few)).length < few;
  return are_few ? ((await kept()) ?? unkept()) : ((await unkept()) ?? kept());
}

/** Part of a transaction that holds the account: the uuid of the one that gives way, held as well. */
export async function holdNext(
  { db }: Transaction,
  room: Room,
  looked: Looked,
  now: number,
): Promise<string | undefined> {
  for (;;) {
    const next = await lookUpNext(db, room, looked, now);
    if (!next || (await holdUnused(db, room, next))) return next?.id;
  }
}

/** Part of a transaction in which somebody agrees to a client, opens a login or uses it. `now` in milliseconds. */
export function noteTried(
  { db }: Transaction,
  { account_id, id }: Pick<Client, "account_id" | "id">,
  now: number,
): Promise<void> {
  return updateTried(db, { account_id, id }, instant(now));
}
