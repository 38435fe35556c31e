import { hasLoggedIn } from "../authentication/sessions/known-browser.ts";
import type { Charge } from "../limits/budgets.ts";
import { spendBudgets } from "../limits/limits.ts";
import { sourceCharges } from "../limits/source.ts";
import { base64url } from "../secrets/digest.ts";
import type { Oauth } from "./oauth.ts";

/** Who sends a request: the address, and the digest of the browser's cookie where it has one. */
export interface Stranger {
  readonly address: string;
  readonly browser?: Uint8Array | undefined;
}

/**
 * Counts a request that is kept, and nobody answers for. Cookies cost nothing: browsers in which somebody has logged in have
 * requests of their own, which others at their address do not use up. @throws 429 too_many_requests.
 */
export async function chargeRequest(
  { directory: { storage, master_keys } }: Pick<Oauth, "directory">,
  account_id: string,
  { address, browser }: Stranger,
): Promise<void> {
  const known = browser !== undefined && (await hasLoggedIn(storage, account_id, browser));
  const charges: readonly Charge[] = known
    ? [{ account_id, budget: "request_source", subject: `browser ${base64url(browser)}` }]
    : sourceCharges(master_keys, account_id, address, ["request_source", "request_site"]);
  await spendBudgets(storage, charges, storage.now());
}
