import { refuse } from "../../errors.ts";
import type { Charge } from "../../limits/budgets.ts";
import { chargeAll, giveBackIn, longestWait, spendBudgets } from "../../limits/limits.ts";
import { sourceCharges } from "../../limits/source.ts";
import { base64url } from "../../secrets/digest.ts";
import { instant } from "../../storage/storage.ts";
import type { Oauth } from "../oauth.ts";
import { type DeviceRequest, readUserCode, userCodeDigests } from "./device-code.ts";
import { selectByUserCode } from "./store.ts";

export interface Entry {
  readonly account_id: string;
  readonly user_code: string;
  readonly browser: Uint8Array;
  /** Where the browser is. */
  readonly source: string;
}

/**
 * A person typed what a device shows. Ten wrong ones close the page for that browser, fifty an hour for its address,
 * and a thousand for its IPv6 site (RFC 8628 §5.1).
 *
 * @returns undefined for a code that nobody waits with. @throws 429 too_many_attempts.
 */
export async function enterUserCode({ directory }: Oauth, entry: Entry): Promise<DeviceRequest | undefined> {
  const { storage, master_keys } = directory;
  const { account_id, browser } = entry;
  const by_browser: Charge = { account_id, budget: "device_guess", subject: base64url(browser) };
  const by_source = sourceCharges(master_keys, account_id, entry.source, ["device_source", "device_site"]);
  const now = storage.now();
  // First, and alone: a browser is whatever the request says, and each would leave a row.
  await spendBudgets(storage, by_source, now, "too_many_attempts");
  const user_code = readUserCode(entry.user_code);
  const digests = user_code === undefined ? [] : userCodeDigests(master_keys, account_id, user_code);
  const { found, wait } = await storage.write(async (tx) => {
    // Before anything is compared, so that of any number at once no more than the limit are.
    const wait = longestWait(await chargeAll(tx, [by_browser], now));
    // What was not compared was no guess of the address, which others share.
    if (wait !== undefined) await giveBackIn(tx, by_source, now);
    if (wait !== undefined || digests.length === 0) return { wait };
    const found = await selectByUserCode(tx.db, account_id, digests, instant(now));
    if (found) await giveBackIn(tx, [by_browser, ...by_source], now);
    return { found };
  });
  if (wait !== undefined) throw refuse("too_many_attempts", { retry_after: wait });
  return found;
}
