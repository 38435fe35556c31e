import type { Directory } from "../../directory/directory.ts";
import { spendBudget } from "../../limits/limits.ts";
import { sourceSubject } from "../../limits/source.ts";
import { uncount } from "../guesses/guess.ts";

/**
 * Counts an attempt at a provider's login before anything comes of it: what a stranger makes up costs that provider a request
 * in the tenant's name, and the audit trail an event. `now` in milliseconds.
 *
 * @returns what gives it back, where it was right. @throws 429 too_many_requests when the source's are used up.
 */
export async function takeAttempt(
  directory: Pick<Directory, "storage" | "master_keys">,
  account_id: string,
  source: string,
  now: number,
): Promise<() => Promise<void>> {
  const budget = "upstream_source" as const;
  const charge = { account_id, budget, subject: sourceSubject(directory.master_keys, account_id, source) };
  await spendBudget(directory.storage, charge, now);
  return () => uncount(directory, charge);
}
