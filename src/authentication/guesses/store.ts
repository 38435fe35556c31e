import { sql } from "kysely";
import type { BudgetKey } from "../../limits/budgets.ts";
import { type Database, type Instant, instant } from "../../storage/storage.ts";

export interface GuessStep {
  readonly account_id: string;
  readonly person: string;
  readonly limit: number;
  readonly now: number;
  /** When a window that begins now ends, for each level. */
  readonly ends: readonly Instant[];
}

export interface GuessCount {
  readonly count: number;
  readonly window_ends_at: Instant;
}

const BUDGET = "factor_guess";

/**
 * Counts one guess under the row's lock. Those since the last success that have closed nothing (`failures`) are counted on in the
 * next window, so that however slowly they come, the last that is allowed closes.
 */
export async function upsertGuess(
  db: Database,
  { account_id, person, limit, now, ends }: GuessStep,
): Promise<GuessCount> {
  const at = instant(now);
  await db
    .insertInto("budgets")
    .values({ account_id, budget: BUDGET, subject: person, count: 0, window_ends_at: at })
    // Changes nothing, but holds the row, which is old enough to be removed.
    .onConflict((conflict) =>
      conflict.columns(["account_id", "budget", "subject"]).doUpdateSet(({ ref }) => ({ count: ref("budgets.count") })),
    )
    .execute();
  const over = sql`window_ends_at <= ${at}`;
  const anew = sql`${over} and count >= ${limit}`;
  const count = sql`case when ${anew} then 1 when ${over} then failures + 1 else count + 1 end`;
  const last = ends.length - 1;
  const levels = sql.join(
    ends.map((end, level) => sql`when level = ${level} then ${end}`),
    sql` `,
  );
  const { rows } = await sql<GuessCount>`update budgets set
      count = ${count},
      failures = case when ${anew} then 1 else failures + 1 end,
      level = case when (${count}) = ${limit} then level + 1 else level end,
      window_ends_at = case when ${over} then case ${levels} else ${ends[last] ?? at} end else window_ends_at end
    where account_id = ${account_id} and budget = ${BUDGET} and subject = ${person}
    returning count, window_ends_at`.execute(db);
  const [row] = rows;
  if (!row) throw new Error("a guess was not counted");
  return { count: Number(row.count), window_ends_at: row.window_ends_at };
}

/** Takes back a guess that was none, and the closing where it had closed. */
export async function updateUnguessed(
  db: Database,
  { account_id, person, limit }: Pick<GuessStep, "account_id" | "person" | "limit">,
): Promise<void> {
  await sql`update budgets set count = count - 1,
      failures = case when failures > 0 then failures - 1 else 0 end,
      level = case when count = ${limit} and level > 0 then level - 1 else level end
    where account_id = ${account_id} and budget = ${BUDGET} and subject = ${person} and count > 0`.execute(db);
}

/** A guess that was right, `own`, is given back where it is counted still. */
export async function updateForgiven(
  db: Database,
  { account_id, budget, subject }: BudgetKey,
  own: 0 | 1,
): Promise<void> {
  await sql`update budgets set count = case when count > 0 then count - ${own} else 0 end, level = 0, failures = 0
    where account_id = ${account_id} and budget = ${budget} and subject = ${subject}`.execute(db);
}

export async function updateForgotten(db: Database, account_id: string, person: string): Promise<void> {
  await sql`update budgets set count = 0, level = 0, failures = 0
    where account_id = ${account_id} and budget = ${BUDGET} and subject = ${person}`.execute(db);
}
