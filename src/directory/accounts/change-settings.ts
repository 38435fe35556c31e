import { recordDeed } from "../../audit/audit.ts";
import { type Database, instant } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import { isAccountApi } from "../grants/audience.ts";
import { NAMES_TAKEN, PUBLIC_GRANTS_CHANGED } from "../grants/change-grants.ts";
import type { Account } from "./account.ts";
import { checkAccountSettings } from "./check-settings.ts";
import { findAccount } from "./find-account.ts";
import { holdAccount } from "./hold-account.ts";
import type { AccountChange } from "./settings.ts";
import { updateAccount } from "./store.ts";

/**
 * Sets what the change names and leaves the rest. Tokens that hold what `public_client_grants` gives no more end, and those
 * of the account API by a grant that names what is no name of it any more. `permit` may refuse it, by the account as it is
 * when nobody else changes it.
 *
 * @throws 400 invalid_request, 404 not_found.
 */
export async function changeSettings(
  directory: Directory,
  account_id: string,
  { name, ...change }: AccountChange,
  actor: Actor,
  permit?: (db: Database, account: Account) => Promise<void>,
): Promise<Account> {
  await checkAccountSettings(account_id, change);
  const now = instant(directory.storage.now());
  await directory.storage.write(async (tx) => {
    const { account, stored } = await holdAccount(tx, account_id, now);
    await permit?.(tx.db, account);
    const after = { account_id, settings: { ...account.settings, ...change } };
    const takes = account.settings.api_audiences.some((name) => !isAccountApi(after, directory.public_url, name));
    const told = [...(change.public_client_grants ? [PUBLIC_GRANTS_CHANGED] : []), ...(takes ? [NAMES_TAKEN] : [])];
    await directory.revocations.record(tx, account_id, told);
    await updateAccount(tx.db, { account_id, name, settings: { ...stored, ...change } }, now);
    const facts = { changed: [...(name === undefined ? [] : ["name"]), ...Object.keys(change)] };
    await recordDeed(tx, { account_id, action: "account.changed", entity: account_id, now, actor, facts });
  });
  directory.accounts.forget(account_id);
  return findAccount(directory, account_id);
}
