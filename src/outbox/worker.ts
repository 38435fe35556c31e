import { randomUUID } from "node:crypto";
import { instant, type Storage } from "../storage/storage.ts";
import { type AttemptContext, attemptDelivery } from "./attempt.ts";
import type { OutboxRow, SentChannel } from "./outbox.ts";
import {
  beginning,
  type DueQueue,
  type Places,
  type Queue,
  selectDueQueues,
  updateClaim,
  updateClaimRenewed,
  updateForeignClaims,
} from "./store.ts";

interface Slots {
  /** Messages of the channel under way at once in this process. */
  readonly all: number;
  /** Of those, to any one destination. */
  readonly each: number;
}

/** A channel waits for itself alone, and no account and no server that clients named gets more than its share. */
const SLOTS: Readonly<Record<SentChannel, Slots>> = {
  mail: { all: 6, each: 5 },
  sms: { all: 6, each: 5 },
  http: { all: 8, each: 2 },
};

export interface OutboxOptions extends Pick<AttemptContext, "log" | "recordFailure"> {
  readonly now?: () => number;
  readonly random?: () => number;
  readonly slots?: Readonly<Record<SentChannel, Slots>>;
  /** Milliseconds between two looks for due messages when nobody nudges. */
  readonly poll?: number;
  /** Milliseconds that a claim lasts unless renewed: how long the messages of a killed process wait on PostgreSQL. */
  readonly lease?: number;
  readonly send_timeout?: number;
  /** Milliseconds that `stop` waits for messages under way. */
  readonly drain?: number;
}

export interface RunningOutbox {
  /** Looks for due messages now; call it when a transaction that enqueued has committed. */
  nudge(): void;
  /** Claims nothing more and waits for what is under way; a message that outlasts the wait is sent again by another. */
  stop(): Promise<void>;
}

interface Worker extends AttemptContext {
  readonly slots: Readonly<Record<SentChannel, Slots>>;
  readonly lease: number;
  readonly inFlight: Map<string, UnderWay>;
  /** Where the next look begins. */
  from: Places;
}

interface UnderWay extends Pick<OutboxRow, "channel" | "destination"> {
  readonly done: Promise<void>;
}

/**
 * Starts the worker of this process. `kinds` are the renderers and senders by name; a message of an unknown kind waits for a
 * process that knows it. On SQLite the caller is the only server on the file, so what an earlier process had claimed is due
 * at once; on PostgreSQL it is due when the claim runs out.
 */
export function startOutbox(storage: Storage, kinds: AttemptContext["kinds"], options: OutboxOptions): RunningOutbox {
  const { slots = SLOTS, lease = 30_000, send_timeout = 240_000, poll = 500, drain = 15_000 } = options;
  const { now = () => storage.now(), random = Math.random, log, recordFailure } = options;
  const inFlight = new Map<string, UnderWay>();
  const claimed_by = randomUUID();
  const worker: Worker = {
    storage,
    kinds,
    log,
    recordFailure,
    now,
    random,
    claimed_by,
    send_timeout,
    slots,
    lease,
    inFlight,
    from: beginning,
  };
  const sleeper = openSleeper();
  let stopping = false;

  async function run(): Promise<void> {
    if (storage.engine === "sqlite") await reported(worker, "taking over", () => takeOver(worker));
    while (!stopping) {
      const rows = (await reported(worker, "claiming", () => claim(worker))) ?? [];
      // What is still under way had outlived its claim, and has it again now.
      for (const row of rows) if (!inFlight.has(row.id)) track(worker, row, sleeper.wake);
      if (rows.length === 0) await sleeper.sleep(poll);
    }
  }

  const renewal = setInterval(() => void reported(worker, "renewing claims", () => renew(worker)), lease / 3);
  const running = run();
  return {
    nudge: sleeper.wake,
    async stop() {
      stopping = true;
      sleeper.wake();
      await running;
      await settledWithin(drain, inFlight);
      clearInterval(renewal);
    },
  };
}

function takeOver({ storage, claimed_by, now }: Worker): Promise<void> {
  return storage.write((tx) => updateForeignClaims(tx.db, claimed_by, instant(now())));
}

async function claim(worker: Worker): Promise<OutboxRow[]> {
  const { storage, claimed_by, now, lease } = worker;
  // A look is cheap and disturbs no writer; most of them find nothing.
  const { due, next } = await selectDueQueues(storage.read, instant(now()), worker.from);
  worker.from = next;
  const shares = sharesOf(worker, due);
  if (shares.length === 0) return [];
  const claimed = { claimed_by, now: instant(now()), until: instant(now() + lease) };
  return storage.write(async (tx) => {
    const rows: OutboxRow[] = [];
    for (const share of shares) rows.push(...(await updateClaim(tx.db, storage.engine, { ...claimed, ...share })));
    return rows;
  });
}

/** How many messages of which queue this process has room for: first where the fewest are under way, then in their order. */
function sharesOf({ slots, inFlight }: Worker, due: readonly DueQueue[]): { queue: Queue; limit: number }[] {
  const under_way = [...inFlight.values()];
  const ofChannel = ({ channel }: Queue) => under_way.filter((other) => other.channel === channel);
  const busy = new Map(
    due.map((queue) => [queue, ofChannel(queue).filter((other) => other.destination === queue.destination).length]),
  );
  const busyOf = (queue: DueQueue) => busy.get(queue) ?? 0;
  const taken = { mail: 0, sms: 0, http: 0 };
  return due
    .toSorted((one, other) => busyOf(one) - busyOf(other))
    .flatMap((queue) => {
      const { all, each } = slots[queue.channel];
      const limit = Math.min(all - ofChannel(queue).length - taken[queue.channel], each - busyOf(queue));
      if (limit <= 0) return [];
      taken[queue.channel] += limit;
      return [{ queue, limit }];
    });
}

function track(worker: Worker, row: OutboxRow, wake: () => void): void {
  const key = row.id;
  const attempt = reported(worker, "noting an outcome", () => attemptDelivery(worker, row)).finally(() => {
    worker.inFlight.delete(key);
    wake();
  });
  worker.inFlight.set(key, { channel: row.channel, destination: row.destination, done: attempt.then(() => {}) });
}

async function renew({ storage, claimed_by, now, lease, inFlight }: Worker): Promise<void> {
  const ids = [...inFlight.keys()];
  if (ids.length > 0) await storage.write((tx) => updateClaimRenewed(tx.db, claimed_by, ids, instant(now() + lease)));
}

async function reported<T>({ log }: Worker, what: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    log.error({ err: error }, `outbox: ${what} failed`);
    return undefined;
  }
}

interface Sleeper {
  /** Resolves after `ms` or at the next `wake`; at once when `wake` was called since the last sleep. */
  sleep(ms: number): Promise<void>;
  wake(): void;
}

function openSleeper(): Sleeper {
  let woken = false;
  let rouse = () => {};
  return {
    async sleep(ms) {
      if (!woken) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          rouse = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      woken = false;
      rouse = () => {};
    },
    wake() {
      woken = true;
      rouse();
    },
  };
}

async function settledWithin(ms: number, inFlight: Map<string, UnderWay>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([Promise.all([...inFlight.values()].map(({ done }) => done)), patience]);
  clearTimeout(timer);
}
