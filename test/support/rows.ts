/**
 * What an account has in the database: how many rows, by which nobody may be told apart, and every row, which nobody
 * else may touch.
 */
import { expect } from "vitest";
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

const tables = new WeakMap<Latchkey, Promise<readonly string[]>>();

async function tablesWithAccounts({ server }: Latchkey): Promise<readonly string[]> {
  const all = await server.core.storage.read.introspection.getTables();
  return all.filter(({ columns }) => columns.some(({ name }) => name === "account_id")).map(({ name }) => name);
}

/** What is over counts for nothing, and is swept at any moment. */
const over = (row: object, at: string) =>
  ["window_ends_at", "idle_expires_at", "expires_at"].some((name) => String(Object(row)[name] ?? "9") < at);

/**
 * Every row of an account that is not over then, by table, of every table that knows accounts. When a secret was used
 * last is left out.
 */
export async function rowsOf(
  latchkey: Latchkey,
  { account_id }: Pick<Tenant, "account_id">,
  at = "",
): Promise<Record<string, readonly string[]>> {
  const names = tables.get(latchkey) ?? tablesWithAccounts(latchkey);
  tables.set(latchkey, names);
  const { read } = latchkey.server.core.storage;
  const rows = (await names).map(async (name) => {
    const all = await read
      .selectFrom(name as "client_secrets")
      .selectAll()
      .where("account_id", "=", account_id)
      .execute();
    const kept = all.filter((row) => !over(row, at)).map((row) => JSON.stringify({ ...row, last_used_at: undefined }));
    return [name, kept.toSorted()] as const;
  });
  return Object.fromEntries(await Promise.all(rows));
}

/** Nothing that runs between two looks takes longer; milliseconds. */
const MARGIN = 30_000;

/**
 * Looks at every row of these accounts, in every table that knows accounts. @returns a function that looks again: each
 * is as it was, and there is no other. Tables that are named `besides` are left out.
 */
export async function keepRows(
  latchkey: Latchkey,
  accounts: readonly Pick<Tenant, "account_id">[],
  besides: readonly string[] = [],
): Promise<() => Promise<void>> {
  const at = new Date(latchkey.server.core.storage.now() + MARGIN).toISOString();
  const look = async () => {
    const all = await Promise.all(accounts.map((account) => rowsOf(latchkey, account, at)));
    return all.map((tables) => Object.entries(tables).filter(([name]) => !besides.includes(name)));
  };
  const before = await look();
  return async () => expect(await look()).toEqual(before);
}
