import { takeBudgetsIn } from "../../limits/limits.ts";
import { sourceCharges } from "../../limits/source.ts";
import type { MasterKeys } from "../../secrets/master-keys.ts";
import type { Transaction } from "../../storage/storage.ts";

/**
 * Whether what a stranger has tried at a hosted page, who begins as many logins as they like, is still to be in the audit
 * trail; counted as one more. What its own network may not do any more takes nothing of what that shares with its neighbours.
 */
export async function leavesTrace(
  tx: Transaction,
  keys: MasterKeys,
  account_id: string,
  ip: string,
  now: number,
): Promise<boolean> {
  const charges = sourceCharges(keys, account_id, ip, ["page_source", "page_site"]);
  return (await takeBudgetsIn(tx, charges, now)) === undefined;
}
