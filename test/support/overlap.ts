/** Two transactions; the second comes while the first is open and has to wait for it, and `meanwhile` the first goes on. */
import { sql } from "kysely";
import type { Storage, Transaction } from "../../src/storage/storage.ts";
import { until } from "./smtp.ts";

export function overlap<A, B>(
  storage: Storage,
  first: (tx: Transaction) => Promise<A>,
  second: () => Promise<B>,
  meanwhile: (tx: Transaction) => Promise<void> = async () => {},
): Promise<[PromiseSettledResult<A>, PromiseSettledResult<B>]> {
  // SQLite runs one write at a time, in the order in which they came; none may wait for anything else.
  if (storage.engine === "sqlite") {
    const whole = async (tx: Transaction) => {
      const result = await first(tx);
      await meanwhile(tx);
      return result;
    };
    return Promise.allSettled([storage.write(whole), second()]);
  }
  let begin = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const waits = async () => {
    const { rows } = await sql`select pid from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(storage.read);
    return rows.length > 0 || undefined;
  };
  const opened = storage.write(async (tx) => {
    const result = await first(tx);
    begin();
    await until("the second to wait for the first", waits);
    await meanwhile(tx);
    return result;
  });
  return Promise.allSettled([opened, Promise.race([begun, opened]).then(second)]);
}
