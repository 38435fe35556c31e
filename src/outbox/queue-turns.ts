/**
 * Whose turn it is: what an outbox looks at next, and to which queues it gives the places that are free.
 *
 * In: what is under way in this process, and what a look found due. Out: where the next look begins, and how many messages
 * of which queue to claim. Places are given one at a time: first where the fewest are under way, then to who has waited
 * longest since it was due or served: nobody waits for more than one message of each of the others, nor for whoever
 * comes after it.
 */
import { openBoundedMap } from "../storage/bounded-map.ts";
import type { Instant } from "../storage/storage.ts";
import type { OutboxRow, SentChannel } from "./outbox.ts";
import { beginning, type DueQueue, type Places, type Queue } from "./store.ts";

export interface Slots {
  /** Messages of the channel under way at once in this process. */
  readonly all: number;
  /** Of those, to any one destination. */
  readonly each: number;
}

export interface Share {
  readonly queue: Queue;
  /** Messages, at least 1. */
  readonly limit: number;
}

type Target = Pick<OutboxRow, "channel" | "destination">;

export interface QueueTurns {
  /** Something came or ended: everything has to be looked at again, from wherever the last look ended. */
  beginRound(): void;
  /** Where the next look begins, for each channel that has room and of which a look may still find something. */
  places(under_way: readonly Target[]): Partial<Places>;
  /** Notes where the look of those channels ended. */
  lookedUntil(next: Partial<Places>): void;
  /** @param due in the order in which they were due. */
  sharesOf(due: readonly DueQueue[], under_way: readonly Target[]): readonly Share[];
  /** One message of it was claimed. */
  noteServed(queue: Target, at: Instant): void;
}

const keyOf = ({ channel, destination }: Target) => `${channel} ${destination}`;

export function openQueueTurns(slots: Readonly<Record<SentChannel, Slots>>): QueueTurns {
  const channels = Object.keys(slots) as SentChannel[];
  const served = openBoundedMap<Instant>();
  let from = beginning;
  /** How often a channel's looks come to the end of its queues before this round has seen all of them. */
  const ends = { mail: 1, sms: 1, http: 1 };

  /** Since when it waits for its turn. Who is forgotten goes by when it was due. */
  const waitsSince = (queue: DueQueue): Instant => {
    const last = served.get(keyOf(queue));
    return last !== undefined && last > queue.due_at ? last : queue.due_at;
  };

  return {
    beginRound() {
      // Who begins in the middle has to come past the end once more.
      for (const channel of channels) ends[channel] = from[channel] === beginning[channel] ? 1 : 2;
    },
    places(under_way) {
      const hasRoom = (channel: SentChannel) =>
        under_way.filter((other) => other.channel === channel).length < slots[channel].all;
      const open = channels.filter((channel) => ends[channel] > 0 && hasRoom(channel));
      return Object.fromEntries(open.map((channel) => [channel, from[channel]]));
    },
    lookedUntil(next) {
      from = { ...from, ...next };
      for (const channel of channels) if (next[channel] === beginning[channel]) ends[channel] -= 1;
    },
    sharesOf(due, under_way) {
      const busy = new Map<string, number>();
      const add = (key: string) => busy.set(key, (busy.get(key) ?? 0) + 1);
      for (const message of under_way) [message.channel, keyOf(message)].forEach(add);
      const shares = new Map<Queue, number>();
      const waiting = due.map((queue) => ({ queue, since: waitsSince(queue) }));
      waiting.sort((one, other) => (one.since < other.since ? -1 : one.since > other.since ? 1 : 0));
      const most = Math.max(...channels.map((channel) => slots[channel].each));
      for (let round = 0; round < most; round++) {
        for (const { queue } of waiting) {
          const { all, each } = slots[queue.channel];
          const mine = busy.get(keyOf(queue)) ?? 0;
          if (mine !== round || mine >= each || (busy.get(queue.channel) ?? 0) >= all) continue;
          [queue.channel, keyOf(queue)].forEach(add);
          shares.set(queue, (shares.get(queue) ?? 0) + 1);
        }
      }
      return [...shares].map(([queue, limit]) => ({ queue, limit }));
    },
    noteServed(queue, at) {
      served.set(keyOf(queue), at, 0);
    },
  };
}
