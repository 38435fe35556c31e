/** How many rows an account has, and what came to them: what nobody may be told apart by. */
import type { Latchkey, Tenant } from "./latchkey.ts";

const TABLES = ["verification_codes", "login_sessions", "outbox", "audit_events"] as const;

export async function countRows(latchkey: Latchkey, { account_id }: Tenant): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of TABLES) {
    const { n } = await latchkey.server.core.storage.read
      .selectFrom(table)
      .select((eb) => eb.fn.countAll<number>().as("n"))
      .where("account_id", "=", account_id)
      .executeTakeFirstOrThrow();
    counts[table] = Number(n);
  }
  return counts;
}

export function difference(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.keys(after).map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)]));
}
