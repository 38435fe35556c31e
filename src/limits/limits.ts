/**
 * Limits: how often anyone may try. One table of budgets, one row a budget and subject, one upsert an engine; shared by all
 * processes, because the rows are.
 *
 * In: a `Charge` and the time. Out: whether it was within the limit, its place in the window, and how long to wait. A step
 * is counted even when it is refused, and windows are fixed: hammering does not make them longer. When the database does not
 * answer, the caller gets that error: nothing is allowed because it could not be counted.
 */
import { refuse } from "../errors.ts";
import type { Storage, Transaction } from "../storage/storage.ts";
import { type BudgetKey, type BudgetRefusal, type Charge, limitOf, type Taken } from "./budgets.ts";
import {
  type Counted,
  costOf,
  deleteEndedBudgets,
  deleteRememberedBudgets,
  deleteUnclosedBudgets,
  keyOf,
  selectBudgets,
  takeStatement,
  updateUncounted,
} from "./store.ts";

/** `now` in milliseconds since the epoch, here and below. */
export async function takeBudget(storage: Storage, charge: Charge, now: number): Promise<Taken> {
  return taken(charge, await storage.hot(takeStatement, { charge, now }), now);
}

/** One after the other; those of a list at once. */
export type Steps = readonly (Charge | readonly Charge[])[];

/**
 * Takes all of several or none, the narrowest first: what one refuses takes nothing of those after it, which others share,
 * not even for a moment. Before that it looks: one that is used up leaves no row of the others, of which anybody may make
 * up as many as they like, and is asked no more once it has refused somebody. What is refused gives back what it took.
 */
export const takeBudgets = (storage: Storage, steps: Steps, now: number): Promise<BudgetRefusal | undefined> =>
  takeSteps(steps, {
    look: (charges) => peekBudgets(storage.read, charges, now),
    take: (charges) => Promise.all(charges.map((charge) => takeBudget(storage, charge, now))),
  });

/** As `takeBudgets`, inside a write transaction; as of `chargeAll` the counts commit with it. */
export const takeBudgetsIn = (tx: Transaction, steps: Steps, now: number): Promise<BudgetRefusal | undefined> =>
  takeSteps(steps, {
    look: (charges) => peekBudgets(tx.db, charges, now),
    take: (charges) => chargeAll(tx, charges, now),
  });

type Ask = (charges: readonly Charge[]) => Promise<readonly Taken[]>;

async function takeSteps(steps: Steps, { look, take }: Readonly<Record<"look" | "take", Ask>>) {
  const charges = steps.flat();
  // One alone has taken nothing of another where it refuses.
  const several = charges.length > 1;
  const seen = several ? await look(charges) : [];
  const told = toldBefore(charges, seen);
  if (told) return told;
  const full = charges.filter((_, place) => seen[place]?.allowed === false);
  const open = steps.map((step) => [step].flat().filter((charge) => !full.includes(charge)));
  const asked: Charge[] = [];
  const taken: Taken[] = [];
  for (const next of [full, ...open]) {
    if (next.length === 0) continue;
    const step = next.map((charge) => unlessPaid(charge, asked, taken));
    asked.push(...step);
    taken.push(...(await take(step)));
    const refusal = refusalOf(asked, taken, FIRST);
    if (!refusal) continue;
    const unused = asked.filter((charge, place) => taken[place]?.allowed || isBeyond(charge, taken[place], FIRST));
    if (several && unused.length > 0) await take(unused.map(refundOf));
    return refusal;
  }
  return undefined;
}

/** As `once_in` has it. */
function unlessPaid(charge: Charge, asked: readonly Charge[], taken: readonly Taken[]): Charge {
  const first = charge.once_in && taken[asked.indexOf(charge.once_in)];
  return first && first.count > 1 ? { ...charge, cost: 0, limit: limitOf(charge) - 1 } : charge;
}

function toldBefore(charges: readonly Charge[], seen: readonly Taken[]): BudgetRefusal | undefined {
  const told = refusalOf(charges, seen, 0);
  return told?.first === false ? told : undefined;
}

/** So far beyond its limit is what was refused first in a window: it stays counted, and says so to those that follow. */
const FIRST = 1;

const isBeyond = (charge: Charge, taken: Taken | undefined, by: number): boolean =>
  taken !== undefined && taken.count > limitOf(charge) + by;

function refusalOf(charges: readonly Charge[], taken: readonly Taken[], beyond: number): BudgetRefusal | undefined {
  const retry_after = longestWait(taken);
  if (retry_after === undefined) return undefined;
  const first = !charges.some((charge, place) => isBeyond(charge, taken[place], beyond));
  const refusing = charges.filter((_, place) => taken[place]?.allowed === false);
  return { retry_after, first, by: refusing.map(({ budget }) => budget) };
}

/** What somebody has done too often. */
type Spent = "too_many_requests" | "too_many_attempts";

/** As `takeBudgets`, where nothing else decides. @throws 429 `spent`. */
export async function spendBudgets(
  storage: Storage,
  steps: Steps,
  now: number,
  spent: Spent = "too_many_requests",
): Promise<void> {
  const refusal = await takeBudgets(storage, steps, now);
  if (refusal) throw refuse(spent, { retry_after: refusal.retry_after });
}

/** As `takeBudget`, where nothing else decides. @throws 429 `spent`. */
export const spendBudget = (storage: Storage, charge: Charge, now: number, spent?: Spent): Promise<void> =>
  spendBudgets(storage, [charge], now, spent);

/** For what turned out to be nothing that counts. */
export const giveBack = (storage: Storage, charges: readonly Charge[], now: number) =>
  Promise.all(charges.map((charge) => takeBudget(storage, refundOf(charge), now)));

/** As `giveBack`, inside a write transaction, in the order of `chargeAll`. */
export const giveBackIn = (tx: Transaction, charges: readonly Charge[], now: number) =>
  chargeAll(tx, charges.map(refundOf), now);

/** As `giveBack` of one step, whenever it was taken: never leaves less than nothing, and begins no window. */
export const uncount = (storage: Storage, key: BudgetKey): Promise<void> => storage.write((tx) => uncountIn(tx, key));

/** As `uncount`, part of a write transaction. */
export const uncountIn = ({ db }: Transaction, key: BudgetKey): Promise<void> => updateUncounted(db, key);

const refundOf = (charge: Charge): Charge => ({ ...charge, cost: -costOf(charge) });

/** @returns seconds until all of these allow it; undefined where they do. */
export function longestWait(taken: readonly Taken[]): number | undefined {
  const refused = taken.filter(({ allowed }) => !allowed).map(({ retry_after }) => retry_after);
  return refused.length === 0 ? undefined : Math.max(...refused);
}

/**
 * Takes several inside a write transaction, in the one order that cannot deadlock; answers in the order given. The counts
 * commit with the transaction, so a refused caller must be answered after it, not by throwing inside.
 */
export async function chargeAll(tx: Transaction, charges: readonly Charge[], now: number): Promise<readonly Taken[]> {
  const sorted = charges.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const inputs = sorted.map((charge) => ({ charge, now }));
  const counted = await tx.hot(takeStatement, inputs);
  return charges.map((charge) => taken(charge, counted[sorted.indexOf(charge)] ?? uncounted(charge), now));
}

/** What a budget says, without taking from it. `count` is what was taken so far. */
export const peekBudget = async (db: Storage["read"], charge: Charge, now: number): Promise<Taken> =>
  (await peekBudgets(db, [charge], now))[0] ?? uncounted(charge);

async function peekBudgets(db: Storage["read"], charges: readonly Charge[], now: number): Promise<readonly Taken[]> {
  const counted = await selectBudgets(db, charges, now);
  return charges.map((charge, place) => {
    const peeked = taken(charge, counted[place] ?? uncounted(charge), now);
    return { ...peeked, allowed: peeked.count < limitOf(charge) };
  });
}

function taken(charge: Charge, { count, window_ends_at }: Counted, now: number): Taken {
  const retry_after = Math.max(1, Math.ceil((Date.parse(window_ends_at) - now) / 1000));
  return { allowed: count <= limitOf(charge), count, retry_after };
}

function uncounted(charge: Charge): never {
  throw new Error(`budget ${charge.budget} was not counted`);
}

/** For the janitor: removes rows whose window ended long ago. */
export const budgetSweep = {
  name: "budgets",
  sweep: (storage: Storage, batch: number) => deleteEndedBudgets(storage, storage.now(), batch),
};

/** For the janitor: failures that were remembered for long enough. */
export const rememberedBudgetSweep = {
  name: "remembered budgets",
  sweep: (storage: Storage, batch: number) => deleteRememberedBudgets(storage, storage.now(), batch),
};

/** For the janitor: wrong passwords and second factors that closed nothing, of people and of names that strangers made up. */
export const unclosedBudgetSweep = {
  name: "unclosed budgets",
  sweep: (storage: Storage, batch: number) => deleteUnclosedBudgets(storage, storage.now(), batch),
};
