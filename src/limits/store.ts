import { type RawBuilder, sql } from "kysely";
import { deleteEnded } from "../storage/delete-expired.ts";
import { hotSource } from "../storage/hot-sources.ts";
import { type Database, type HotStatement, type Instant, instant, type Row, type Storage } from "../storage/storage.ts";
import { type BudgetKey, budgets, type Charge } from "./budgets.ts";

export interface TakeInput {
  readonly charge: Charge;
  readonly now: number;
}

export interface Counted {
  readonly count: number;
  readonly window_ends_at: Instant;
}

export function keyOf({ account_id, budget, subject }: BudgetKey): string {
  return `${account_id} ${budget} ${subject}`;
}

export const costOf = ({ cost = 1 }: Charge) => cost;
const endOf = ({ charge, now }: TakeInput) => instant(now + budgets[charge.budget].window * 1000);

/** A window that has ended begins again with this step; `%now` is the engine's parameter. */
const RESTART = `
  count = case when budgets.window_ends_at <= %now then excluded.count else budgets.count + excluded.count end,
  window_ends_at = case when budgets.window_ends_at <= %now then excluded.window_ends_at else budgets.window_ends_at end`;

const COLUMNS = "account_id, budget, subject, count, window_ends_at";

export const takeStatement: HotStatement<TakeInput, Counted> = {
  name: "take_budget",
  source: hotSource(import.meta.url),
  key: ({ charge }) => keyOf(charge),
  mode: { kind: "counting", merge: mergeSteps, split: splitCount },
  sqlite(db, input) {
    const { account_id, budget, subject } = input.charge;
    const [row] = db.all(
      `insert into budgets (${COLUMNS}) values (?1, ?2, ?3, ?4, ?5)
       on conflict (account_id, budget, subject) do update set ${RESTART.replaceAll("%now", "?6")}
       returning count, window_ends_at`,
      account_id,
      budget,
      subject,
      costOf(input.charge),
      endOf(input),
      instant(input.now),
    );
    return countedOf(row);
  },
  postgres: {
    text: `insert into budgets (${COLUMNS})
      select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[])
      on conflict (account_id, budget, subject) do update set ${RESTART.replaceAll("%now", "($6::text[])[1]")}
      returning account_id, budget, subject, count, window_ends_at`,
    parameters: (inputs) => [
      inputs.map(({ charge }) => charge.account_id),
      inputs.map(({ charge }) => charge.budget),
      inputs.map(({ charge }) => charge.subject),
      inputs.map(({ charge }) => costOf(charge)),
      inputs.map(endOf),
      [instant(Math.max(...inputs.map(({ now }) => now)))],
    ],
    answers: (rows, inputs) => {
      const byKey = new Map(rows.map((row) => [keyOf(row as unknown as BudgetKey), row]));
      return inputs.map(({ charge }) => countedOf(byKey.get(keyOf(charge))));
    },
  },
};

function mergeSteps(inputs: readonly TakeInput[]): TakeInput {
  const [first] = inputs as [TakeInput, ...TakeInput[]];
  const cost = inputs.reduce((sum, input) => sum + costOf(input.charge), 0);
  return { charge: { ...first.charge, cost }, now: Math.max(...inputs.map(({ now }) => now)) };
}

/** Each step gets the place it would have had alone. */
function splitCount({ count, window_ends_at }: Counted, inputs: readonly TakeInput[]): Counted[] {
  let place = count - inputs.reduce((sum, input) => sum + costOf(input.charge), 0);
  return inputs.map((input) => {
    place += costOf(input.charge);
    return { count: place, window_ends_at };
  });
}

function countedOf(row: Row | undefined): Counted {
  if (!row) throw new Error("a budget was counted without an answer");
  return { count: Number(row.count), window_ends_at: String(row.window_ends_at) };
}

export async function updateUncounted(db: Database, { account_id, budget, subject }: BudgetKey): Promise<void> {
  await sql`update budgets set count = count - 1
    where account_id = ${account_id} and budget = ${budget} and subject = ${subject} and count > 0`.execute(db);
}

/** Answers in the order given; nothing was taken where no window runs. */
export async function selectBudgets(
  db: Database,
  keys: readonly BudgetKey[],
  now: number,
): Promise<readonly Counted[]> {
  const each = keys.map(
    ({ account_id, budget, subject }) =>
      sql`select ${sql.raw(COLUMNS)} from budgets
        where account_id = ${account_id} and budget = ${budget} and subject = ${subject} and window_ends_at > ${instant(now)}`,
  );
  const { rows } = await sql<BudgetKey & Counted>`${sql.join(each, sql` union all `)}`.execute(db);
  const byKey = new Map(rows.map((row) => [keyOf(row), countedOf({ ...row })]));
  return keys.map((key) => byKey.get(keyOf(key)) ?? { count: 0, window_ends_at: instant(now) });
}

const DAY = 86_400_000;
/** Levels and failures outlive their window, so that a patient guesser starts no new life every day. */
const MEMORY = 90 * DAY;
/** To begin anew by waiting so long is worth less than to go on: ten a day, where a window is at its longest. */
const MEMORY_OF_UNCLOSED = 7 * DAY;

const ended = (storage: Storage, which: RawBuilder<unknown>, batch: number) =>
  deleteEnded(storage, { table: "budgets", key: ["budget", "subject"], by: "window_ends_at", which }, batch);

/** Those that remember nothing. @returns how many there were, at most `batch`. */
export const deleteEndedBudgets = (storage: Storage, now: number, batch: number) =>
  ended(storage, sql`window_ends_at < ${instant(now - DAY)} and failures = 0 and level = 0`, batch);

/** @returns how many there were, at most `batch`. */
export const deleteRememberedBudgets = (storage: Storage, now: number, batch: number) =>
  ended(storage, sql`window_ends_at < ${instant(now - MEMORY)} and (failures > 0 or level > 0)`, batch);

/** Of wrong passwords and second factors that closed nothing. @returns how many there were, at most `batch`. */
export function deleteUnclosedBudgets(storage: Storage, now: number, batch: number) {
  const [budget, before] = ["factor_guess", instant(now - MEMORY_OF_UNCLOSED)];
  return ended(storage, sql`budget = ${budget} and window_ends_at < ${before} and failures > 0 and level = 0`, batch);
}
