import { recordDeed } from "../../audit/audit.ts";
import { instant } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import type { Account } from "./account.ts";
import { checkCountries } from "./check-countries.ts";
import { findAccount } from "./find-account.ts";
import type { AccountSettings } from "./settings.ts";
import { holdSettings, updateSettings } from "./store.ts";

/** Sets what the change names and leaves the rest. @throws 400 invalid_request, 404 not_found. */
export async function changeSettings(
  directory: Directory,
  account_id: string,
  change: Partial<AccountSettings>,
  actor: Actor,
): Promise<Account> {
  await findAccount(directory, account_id);
  await checkCountries(change);
  const now = instant(directory.storage.now());
  await directory.storage.write(async (tx) => {
    const stored = await holdSettings(tx.db, account_id, now);
    await updateSettings(tx.db, account_id, { ...stored, ...change }, now);
    const facts = { changed: Object.keys(change) };
    await recordDeed(tx, { account_id, action: "account.changed", entity: account_id, now, actor, facts });
  });
  directory.accounts.forget(account_id);
  return findAccount(directory, account_id);
}
