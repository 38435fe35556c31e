/**
 * Whose turn it is: what an outbox looks at next, and to which queues it gives the places that are free.
 *
 * In: what is under way in this process, and what a look found due. Out: where the next look begins, and how many messages
 * of which queue to claim. Places are given one at a time: first where the fewest are under way, then to who was served
 * longest ago, so that nobody waits for more than one message of each of the others.
 */
import { openBoundedMap } from "../storage/bounded-map.ts";
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

export interface Turns {
  /** Something came or ended: everything has to be looked at again, from wherever the last look ended. */
  beginRound(): void;
  /** Where the next look begins, for each channel that has room and of which a look may still find something. */
  places(under_way: readonly Target[]): Partial<Places>;
  /** Notes where the look of those channels ended. */
  lookedUntil(next: Partial<Places>): void;
  /** @param due in the order in which they were due. */
  sharesOf(due: readonly DueQueue[], under_way: readonly Target[]): readonly Share[];
  /** One message of it was claimed. */
  noteServed(queue: Target): void;
}

const keyOf = ({ channel, destination }: Target) => `${channel} ${destination}`;

export function openTurns(slots: Readonly<Record<SentChannel, Slots>>): Turns {
  const channels = Object.keys(slots) as SentChannel[];
  const served = openBoundedMap<number>();
  let services = 0;
  let from = beginning;
  /** How often a channel's looks come to the end of its queues before this round has seen all of them. */
  const ends = { mail: 1, sms: 1, http: 1 };

  const servedAt = (queue: Queue) => served.get(keyOf(queue)) ?? 0;

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
      const sorted = due.toSorted((one, other) => servedAt(one) - servedAt(other));
      const most = Math.max(...channels.map((channel) => slots[channel].each));
      for (let round = 0; round < most; round++) {
        for (const queue of sorted) {
          const { all, each } = slots[queue.channel];
          const mine = busy.get(keyOf(queue)) ?? 0;
          if (mine !== round || mine >= each || (busy.get(queue.channel) ?? 0) >= all) continue;
          [queue.channel, keyOf(queue)].forEach(add);
          shares.set(queue, (shares.get(queue) ?? 0) + 1);
        }
      }
      return [...shares].map(([queue, limit]) => ({ queue, limit }));
    },
    noteServed(queue) {
      services += 1;
      served.set(keyOf(queue), services, 0);
    },
  };
}
