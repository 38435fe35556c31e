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
import { type BudgetKey, type Charge, limitOf, type Taken } from "./budgets.ts";
import {
  type Counted,
  costOf,
  deleteEndedBudgets,
  deleteRememberedBudgets,
  deleteUnclosedBudgets,
  keyOf,
  selectBudget,
  takeStatement,
  updateUncounted,
} from "./store.ts";

/** `now` in milliseconds since the epoch, here and below. */
export async function takeBudget(storage: Storage, charge: Charge, now: number): Promise<Taken> {
  return taken(charge, await storage.hot(takeStatement, { charge, now }), now);
}

/**
 * Takes several at once, each on disk before the answer; answers in the order given. First the narrower ones: what one
 * of them refuses takes nothing of those after it, which others share.
 */
export async function takeBudgets(
  storage: Storage,
  charges: readonly Charge[],
  now: number,
): Promise<readonly Taken[]> {
  const all = await Promise.all(charges.map((charge) => takeBudget(storage, charge, now)));
  const refused = all.findIndex(({ allowed }) => !allowed);
  const unused = charges.filter((charge, place) => refused >= 0 && place > refused && isUnused(charge, all[place]));
  await giveBack(storage, unused, now);
  return all;
}

/**
 * Takes several one after the other, the wider ones first: one that refuses leaves no row of those after it, of which
 * anybody may make up as many as they like, and takes nothing of those before it, which others share.
 *
 * @returns those that were asked, in order; the last of them may have refused.
 */
export const takeNarrowing = (storage: Storage, charges: readonly Charge[], now: number): Promise<readonly Taken[]> =>
  narrowing(charges, (charge) => takeBudget(storage, charge, now));

/** As `takeNarrowing`, inside a write transaction; as of `chargeAll` the counts commit with it. */
export const chargeNarrowing = (tx: Transaction, charges: readonly Charge[], now: number): Promise<readonly Taken[]> =>
  narrowing(charges, async (charge) => (await chargeAll(tx, [charge], now))[0] ?? uncounted(charge));

async function narrowing(
  charges: readonly Charge[],
  take: (charge: Charge) => Promise<Taken>,
): Promise<readonly Taken[]> {
  const all: Taken[] = [];
  for (const charge of charges) {
    const taken = await take(charge);
    all.push(taken);
    if (taken.allowed) continue;
    const shared = charges.slice(0, Math.min(all.length, charges.length - 1));
    for (const [place, one] of shared.entries()) if (isUnused(one, all[place])) await take(refundOf(one));
    break;
  }
  return all;
}

/** What somebody has done too often. */
type Spent = "too_many_requests" | "too_many_attempts";

/** As `takeNarrowing`, where nothing else decides. @throws 429 `spent`. */
export async function spendNarrowing(
  storage: Storage,
  charges: readonly Charge[],
  now: number,
  spent: Spent = "too_many_requests",
): Promise<void> {
  const retry_after = longestWait(await takeNarrowing(storage, charges, now));
  if (retry_after !== undefined) throw refuse(spent, { retry_after });
}

/** As `takeBudget`, where nothing else decides. @throws 429 `spent`. */
export const spendBudget = (storage: Storage, charge: Charge, now: number, spent?: Spent): Promise<void> =>
  spendNarrowing(storage, [charge], now, spent);

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

/** Of what others share: also what was beyond it, or one who asks very often at once uses it up. The first beyond says that it was. */
const isUnused = (charge: Charge, taken: Taken | undefined): boolean =>
  taken !== undefined && (taken.allowed || taken.count > limitOf(charge) + 1);

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
export async function peekBudget(db: Storage["read"], charge: Charge, now: number): Promise<Taken> {
  const counted = await selectBudget(db, charge, now);
  return { ...taken(charge, counted, now), allowed: counted.count < limitOf(charge) };
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
