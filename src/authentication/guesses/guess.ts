/**
 * Guesses at a person's password, PIN or second factor. A guess is taken and on disk before anything is compared, so that
 * of any number of parallel ones no more than the limit are; a right one gives itself back, and so does what was refused,
 * since nothing was compared. Only the last one that a login asks for ends the memory of earlier closings: with a password
 * that a second factor follows, whoever has stolen it would guess at that by windows of an hour for ever. Attempts at one
 * person wait for each other, or right ones that come together would shut each other out. Windows last an hour, doubled at
 * each closing up to a day (NIST SP 800-63B §5.2.2), and what is wrong in one counts on in the next until a success.
 * Codes stay open meanwhile.
 */
import type { Directory } from "../../directory/directory.ts";
import { refuse } from "../../errors.ts";
import type { BudgetKey } from "../../limits/budgets.ts";
import { spendBudgets, uncountIn } from "../../limits/limits.ts";
import { sourceCharges } from "../../limits/source.ts";
import type { Transaction } from "../../storage/storage.ts";
import { windowEnds } from "../verification/guess-window.ts";
import { updateForgiven, updateForgotten, updateUnguessed, upsertGuess } from "./store.ts";

export interface Guesser {
  readonly account_id: string;
  /** The user's uuid, or a name for somebody who is not known; in front of it what else is guessed at than their password. */
  readonly person: string;
  /** Where the end user is; null when nothing is known. */
  readonly source: string | null;
  readonly limit: number;
}

/** Somebody at a source, whoever they say they are. */
type Guessing = Pick<Guesser, "account_id" | "source">;

type Counting = Pick<Directory, "storage" | "master_keys">;

/**
 * Within `inLine`, which holds until the guess is compared and, where it was right, given back.
 *
 * @throws 429 too_many_attempts when the guesses of the person, the source or its site are used up. `now` in
 *   milliseconds.
 */
export async function takeGuess(directory: Counting, guesser: Guesser, now: number): Promise<void> {
  const { storage } = directory;
  const { account_id, person, limit } = guesser;
  await takeOfSource(directory, guesser, now);
  const { count, window_ends_at } = await storage.write(async (tx) => {
    const counted = await upsertGuess(tx.db, { account_id, person, limit, now, ends: windowEnds(now) });
    if (counted.count > limit) await giveBackGuess(tx, directory, guesser);
    return counted;
  });
  if (count <= limit) return;
  throw refuse("too_many_attempts", { retry_after: Math.max(1, (Date.parse(window_ends_at) - now) / 1000) });
}

/**
 * Of the source alone: for what is as dear to compare, and too long to be guessed, so that nobody is kept from it. What
 * was no guess is given back likewise.
 *
 * @throws 429 too_many_attempts when the source's guesses are used up. `now` in milliseconds.
 */
export const takeOfSource = (directory: Counting, guessing: Guessing, now: number): Promise<void> =>
  spendBudgets(directory.storage, fromSource(directory, guessing), now, "too_many_attempts");

/** What was not compared, because too many others are, or was right after all, was no guess of this person or source. */
export function orGiveBack(directory: Counting, guesser: Guesser) {
  return async (error: unknown): Promise<never> => {
    await directory.storage.write((tx) => giveBackGuess(tx, directory, guesser));
    throw error;
  };
}

/** It was no guess; part of the transaction of what it led to. */
export async function giveBackGuess(tx: Transaction, directory: Counting, guesser: Guesser): Promise<void> {
  await updateUnguessed(tx.db, guesser);
  await giveBackOfSource(tx, directory, guesser);
}

const fromSource = ({ master_keys }: Counting, { account_id, source }: Guessing) =>
  source === null ? [] : sourceCharges(master_keys, account_id, source, ["factor_source", "factor_site"]);

/**
 * The person's row comes before these wherever both are written, and these by their keys, as where they are counted:
 * two who met would wait for each other.
 */
export async function giveBackOfSource(tx: Transaction, directory: Counting, guessing: Guessing): Promise<void> {
  for (const charge of fromSource(directory, guessing).toReversed()) await uncountIn(tx, charge);
}

/** The guess was right, and nothing follows that could be guessed at; part of the transaction of what it led to. */
export async function forgiveIn(tx: Transaction, directory: Counting, guesser: Guesser): Promise<void> {
  const { account_id, person: subject } = guesser;
  await updateForgiven(tx.db, { account_id, budget: "factor_guess", subject }, 1);
  await giveBackOfSource(tx, directory, guesser);
}

/** So is what was shown on the way to it, and given back then; before that, in the order of whoever shows it again. */
export const forgiveFirst = (tx: Transaction, first: BudgetKey): Promise<void> => updateForgiven(tx.db, first, 0);

/**
 * What was guessed at is gone, and with it what the guesses closed; part of the transaction that sets another password.
 * Not for whoever shows less for that than a login takes: guesses at the factor behind a password are among these.
 */
export async function forgetGuesses(tx: Transaction, { account_id, user_id }: Guessed): Promise<void> {
  // In the order of whoever changes it.
  for (const person of [`change ${user_id}`, user_id]) await updateForgotten(tx.db, account_id, person);
}

/**
 * Likewise for somebody else who sets or takes away second factors. Wrong ones after a password stay: they count with
 * guesses at that.
 */
export const forgetFactorGuesses = (tx: Transaction, { account_id, user_id }: Guessed): Promise<void> =>
  updateForgotten(tx.db, account_id, `factor ${user_id}`);

interface Guessed {
  readonly account_id: string;
  readonly user_id: string;
}
