import { deleteExpired } from "../storage/delete-expired.ts";
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

/** For the janitor: messages go a day after they expired, sandbox inboxes included. */
export const outboxSweep = {
  name: "outbox",
  sweep: (storage: Storage, batch: number): Promise<number> =>
    storage.write((tx) => {
      const done = { table: "outbox", key: "id", only: "state <> 'pending'" } as const;
      return deleteExpired(tx.db, done, instant(storage.now() - DAY), batch);
    }),
};
