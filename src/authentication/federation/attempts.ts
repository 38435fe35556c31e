import type { Directory } from "../../directory/directory.ts";
import { refuse } from "../../errors.ts";
import type { Charge } from "../../limits/budgets.ts";
import { peekBudget, takeBudget } from "../../limits/limits.ts";
import { sourceSubject } from "../../limits/source.ts";
import { base64url } from "../../secrets/digest.ts";
import { uncount } from "../guesses/guess.ts";
import { hasLoggedIn } from "../sessions/known-browser.ts";

export interface From {
  /** The digest of its cookie; undefined where it brings none. */
  readonly browser: Uint8Array | undefined;
  readonly address: string;
}

/**
 * An attempt at a provider's login: what a stranger makes up costs that provider a request in the tenant's name, and the
 * audit trail an event. Those of which nothing came are counted, so that of people who log in at once none is in another's
 * way; how many are under way is bounded before anything comes of them. A browser in which somebody has logged in counts
 * by itself, whatever others do at its address. `now` in milliseconds.
 *
 * @returns what `work` gives. @throws 429 too_many_requests when the source's are used up; what `work` throws.
 */
export async function attempt<T>(
  directory: Pick<Directory, "storage" | "master_keys">,
  account_id: string,
  { browser, address }: From,
  now: number,
  work: () => Promise<T>,
): Promise<T> {
  const { storage, master_keys } = directory;
  const known = browser && (await hasLoggedIn(storage, account_id, browser)) ? browser : undefined;
  const subject = known ? `browser ${base64url(known)}` : sourceSubject(master_keys, account_id, address);
  const failed: Charge = { account_id, budget: "upstream_source", subject };
  const under_way: Charge = { account_id, budget: "upstream_under_way", subject };
  const before = await peekBudget(storage.read, failed, now);
  if (!before.allowed) throw refuse("too_many_requests", { retry_after: before.retry_after });
  const { allowed, retry_after } = await takeBudget(storage, under_way, now);
  // None that is refused is under way.
  if (!allowed) await uncount(directory, under_way);
  if (!allowed) throw refuse("too_many_requests", { retry_after });
  const result = await work().catch(async (error: unknown) => {
    await takeBudget(storage, failed, now);
    throw error;
  });
  await uncount(directory, under_way);
  return result;
}
