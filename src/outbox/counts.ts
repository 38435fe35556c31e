import { expirySweep } from "../storage/delete-expired.ts";
import { instant, type Storage } from "../storage/storage.ts";
import { selectFailedSince, selectPendingBefore } from "./store.ts";

/** What `/readyz` shows as degraded and `/metrics` exports. */
export interface OutboxCounts {
  /** Waiting to be sent, retries included. */
  readonly pending: number;
  /** Of those, the ones that have waited for more than a minute. */
  readonly late: number;
  /** Given up within the last hour. */
  readonly undeliverable: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export async function countOutbox(storage: Storage): Promise<OutboxCounts> {
  const now = storage.now();
  const [pending, late, undeliverable] = await Promise.all([
    selectPendingBefore(storage.read, instant(now + DAY)),
    selectPendingBefore(storage.read, instant(now - MINUTE)),
    selectFailedSince(storage.read, instant(now - HOUR)),
  ]);
  return { pending, late, undeliverable };
}

/** Messages go a day after they expired, sandbox inboxes included. */
export const outboxSweep = expirySweep("outbox", { table: "outbox", key: ["id"], only: "state <> 'pending'" }, DAY);
