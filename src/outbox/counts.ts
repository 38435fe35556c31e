import { openCache } from "../storage/cache.ts";
import { expirySweep } from "../storage/delete-expired.ts";
import { instant, type Storage } from "../storage/storage.ts";
import { countFailedSince, countPendingBefore } from "./store.ts";

/** What `/readyz` shows as degraded and `/metrics` exports; of either at most ten thousand are counted. */
export interface OutboxCounts {
  /** Waiting to be sent for more than a minute, retries included. */
  readonly late: number;
  /** Given up within the last hour. */
  readonly undeliverable: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export async function countOutbox(storage: Storage): Promise<OutboxCounts> {
  const now = storage.now();
  const [late, undeliverable] = await Promise.all([
    countPendingBefore(storage.read, instant(now - MINUTE)),
    countFailedSince(storage.read, instant(now - HOUR)),
  ]);
  return { late, undeliverable };
}

/**
 * Counts for whoever asks, however often: what was counted stands for five seconds. @returns nothing where it cannot be
 * counted.
 */
export function openOutboxCounts(storage: Storage, monotonic?: () => number): () => Promise<OutboxCounts | undefined> {
  const counted = openCache<OutboxCounts>({ ttl: 5_000, limit: 1, monotonic });
  return () => counted.get("", () => countOutbox(storage)).catch(() => undefined);
}

/** Messages go a day after they expired, sandbox inboxes included. */
export const outboxSweep = expirySweep("outbox", { table: "outbox", key: ["id"], only: "state <> 'pending'" }, DAY);
