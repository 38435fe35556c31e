import type { Account } from "../../directory/accounts/account.ts";
import { budgets } from "../../limits/budgets.ts";
import { chargeAll, peekBudget, takeBudget } from "../../limits/limits.ts";
import type { Storage } from "../../storage/storage.ts";

/**
 * A wrong numeric code of one person, seen from the account: few guesses at each of many people are a spray, which no
 * person's own budget notices (decided by `spray_guess_limit`, and by how many people there were).
 */
export async function noteSpray(
  storage: Storage,
  { account_id, settings }: Account,
  person: string,
  now: number,
): Promise<void> {
  const first = await takeBudget(storage, { account_id, budget: "spray_person", subject: person }, now);
  const subject = "account";
  const people = { account_id, budget: "spray_people", subject } as const;
  const guesses = { account_id, budget: "spray_guess", subject, limit: settings.spray_guess_limit } as const;
  await storage.write(async (tx) => {
    const [guess, others] = await chargeAll(tx, first.count === 1 ? [guesses, people] : [guesses], now);
    const many = others ?? (await peekBudget(tx.db, people, now));
    if (!guess || guess.count < guesses.limit || many.count < budgets.spray_people.limit) return;
    await chargeAll(tx, [{ account_id, budget: "spray_pressure", subject }], now);
  });
}

/** Whether the account is being sprayed: browsers that nobody knows then get codes too long to guess. */
export async function isSprayed(storage: Storage, account_id: string, now: number): Promise<boolean> {
  const pressure = await peekBudget(storage.read, { account_id, budget: "spray_pressure", subject: "account" }, now);
  return pressure.count > 0;
}
