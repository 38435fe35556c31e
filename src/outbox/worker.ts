import { randomUUID } from "node:crypto";
import { instant, type Storage } from "../storage/storage.ts";
import { type AttemptContext, attemptDelivery } from "./attempt.ts";
import type { OutboxRow, SentChannel } from "./outbox.ts";
import { openQueueTurns, type QueueTurns, type Slots } from "./queue-turns.ts";
import { selectDueQueues, updateClaim, updateClaimRenewed, updateForeignClaims } from "./store.ts";

/** A channel waits for itself alone, and no account and no server that clients named gets more than its share. */
const SLOTS: Readonly<Record<SentChannel, Slots>> = {
  mail: { all: 6, each: 5 },
  sms: { all: 6, each: 5 },
  http: { all: 8, each: 2 },
};

/** Milliseconds between two looks of one round: of very many destinations that wait, a look comes to a few. */
const REST = 10;

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
  readonly lease: number;
  /** Since when the database has answered whatever it was asked; no time at all where it did not the last time. */
  readonly answered: { since: number };
  readonly inFlight: Map<string, UnderWay>;
  readonly turns: QueueTurns;
}

interface UnderWay extends Pick<OutboxRow, "account_id" | "channel" | "destination"> {
  readonly done: Promise<void>;
}

/**
 * Starts the worker of this process. `kinds` are the renderers and senders by name; a message of an unknown kind waits for a
 * process that knows it. On SQLite the caller is the only server on the file, so what an earlier process had claimed is due
 * at once; on PostgreSQL it is due when the claim has run out and its owner, the database being there, had time to renew it.
 */
export function startOutbox(storage: Storage, kinds: AttemptContext["kinds"], options: OutboxOptions): RunningOutbox {
  const { slots = SLOTS, lease = 30_000, send_timeout = 240_000, poll = 500, drain = 15_000 } = options;
  const { now = () => storage.now(), random = Math.random, log, recordFailure } = options;
  const inFlight = new Map<string, UnderWay>();
  const claimed_by = randomUUID();
  const over = new AbortController();
  const worker: Worker = {
    storage,
    kinds,
    log,
    recordFailure,
    now,
    random,
    claimed_by,
    send_timeout,
    over: over.signal,
    lease,
    answered: { since: Number.POSITIVE_INFINITY },
    inFlight,
    turns: openQueueTurns(slots),
  };
  const sleeper = openSleeper();
  let stopping = false;

  async function run(): Promise<void> {
    if (storage.engine === "sqlite") await reported(worker, "taking over", () => takeOver(worker));
    while (!stopping) {
      const rows = await reported(worker, "claiming", () => claim(worker));
      // What is still under way had outlived its claim, and has it again now.
      for (const row of rows ?? []) if (!inFlight.has(row.id)) track(worker, row, sleeper.wake);
      const goes_on = rows?.length === 0 && Object.keys(placesOf(worker)).length > 0;
      if (rows?.length || (await sleeper.sleep(goes_on ? REST : poll)) || !goes_on) worker.turns.beginRound();
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
      over.abort();
      clearInterval(renewal);
    },
  };
}

function takeOver({ storage, claimed_by, now }: Worker): Promise<void> {
  return storage.write((tx) => updateForeignClaims(tx.db, claimed_by, instant(now())));
}

async function claim(worker: Worker): Promise<OutboxRow[]> {
  const { storage, claimed_by, now, lease, turns, inFlight, answered } = worker;
  const from = placesOf(worker);
  if (Object.keys(from).length === 0) return [];
  const whose = { claimed_by, takes_over: othersHadTime(worker) };
  // A look is cheap and disturbs no writer; most of them find nothing.
  const { due, next } = await selectDueQueues(storage.read, instant(now()), from, whose);
  answered.since = Math.min(answered.since, now());
  turns.lookedUntil(next);
  const shares = turns.sharesOf(due, [...inFlight.values()]);
  if (shares.length === 0) return [];
  const claimed = { ...whose, now: instant(now()), until: instant(now() + lease) };
  const rows = await storage.write(async (tx) => {
    const rows: OutboxRow[] = [];
    for (const share of shares) rows.push(...(await updateClaim(tx.db, { ...claimed, ...share })));
    return rows;
  });
  for (const row of rows) turns.noteServed(row, claimed.now);
  return rows;
}

/**
 * Claims of others that ran out while nobody could renew them are theirs still: a renewal, which comes three times in a
 * lease, is waited for.
 */
const othersHadTime = ({ now, lease, answered }: Worker) => now() - answered.since >= lease / 2;

const placesOf = ({ turns, inFlight }: Worker) => turns.places([...inFlight.values()]);

function track(worker: Worker, row: OutboxRow, wake: () => void): void {
  const key = row.id;
  const attempt = reported(worker, "noting an outcome", () => attemptDelivery(worker, row)).finally(() => {
    worker.inFlight.delete(key);
    wake();
  });
  const { account_id, channel, destination } = row;
  worker.inFlight.set(key, { account_id, channel, destination, done: attempt.then(() => {}) });
}

async function renew({ storage, claimed_by, now, lease, inFlight }: Worker): Promise<void> {
  const keys = [...inFlight].map(([id, { account_id }]) => ({ account_id, id }));
  if (keys.length > 0) await storage.write((tx) => updateClaimRenewed(tx.db, claimed_by, keys, instant(now() + lease)));
}

async function reported<T>({ log, answered }: Worker, what: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    answered.since = Number.POSITIVE_INFINITY;
    log.error({ err: error }, `outbox: ${what} failed`);
    return undefined;
  }
}

interface Sleeper {
  /**
   * Resolves after `ms` or at the next `wake`; at once when `wake` was called since the last sleep.
   *
   * @returns whether it was woken.
   */
  sleep(ms: number): Promise<boolean>;
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
      const roused = woken;
      woken = false;
      rouse = () => {};
      return roused;
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
