import type { Directory } from "../../directory/directory.ts";
import { refuse } from "../../errors.ts";
import type { Charge } from "../../limits/budgets.ts";
import { peekBudget, takeBudget, uncount } from "../../limits/limits.ts";
import { sourceSubject } from "../../limits/source.ts";
import { base64url } from "../../secrets/digest.ts";
import { hasLoggedIn } from "../sessions/known-browser.ts";

export interface From {
  /** The digest of its cookie. */
  readonly browser: Uint8Array;
  readonly address: string;
}

/**
 * An attempt at a provider's login: what a stranger makes up costs that provider a request in the tenant's name, and the
 * audit trail an event. Those of which nothing came are counted, so that of people who log in at once none is in another's
 * way, and against the browser that made them, so that nobody uses up what others at their address have. Cookies cost
 * nothing: how many have not come right is bounded at an address as well, but for browsers in which somebody has logged
 * in. `now` in milliseconds.
 *
 * @returns what `work` gives. @throws 429 too_many_requests when they are used up; what `work` throws.
 */
export async function attempt<T>(
  directory: Pick<Directory, "storage" | "master_keys">,
  account_id: string,
  { browser, address }: From,
  now: number,
  work: () => Promise<T>,
): Promise<T> {
  const { storage, master_keys } = directory;
  const own = `browser ${base64url(browser)}`;
  const known = await hasLoggedIn(storage, account_id, browser);
  const failed: Charge = { account_id, budget: "upstream_source", subject: own };
  const source = known ? own : sourceSubject(master_keys, account_id, address);
  const under_way: Charge = { account_id, budget: "upstream_under_way", subject: source };
  const before = await peekBudget(storage.read, failed, now);
  if (!before.allowed) throw refuse("too_many_requests", { retry_after: before.retry_after });
  const { allowed, retry_after } = await takeBudget(storage, under_way, now);
  // None that is refused is under way.
  if (!allowed) await uncount(storage, under_way);
  if (!allowed) throw refuse("too_many_requests", { retry_after });
  const result = await work().catch(async (error: unknown) => {
    await takeBudget(storage, failed, now);
    throw error;
  });
  await uncount(storage, under_way);
  return result;
}
