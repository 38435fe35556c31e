import { recordDeed } from "../../audit/audit.ts";
import { refuseField } from "../../errors.ts";
import { instant } from "../../storage/storage.ts";
import { insertConnection } from "../connections/store.ts";
import type { Actor, Directory } from "../directory.ts";
import { type Account, readAccountId } from "./account.ts";
import { checkCountries } from "./check-countries.ts";
import { findAccount } from "./find-account.ts";
import type { AccountSettings } from "./settings.ts";
import { insertAccount } from "./store.ts";

export interface NewAccount {
  /** Either form. */
  readonly account_id: string;
  readonly name: string;
  readonly settings?: Partial<AccountSettings>;
}

/**
 * Creates an account with its two built-in connections, `email` and `sms`.
 *
 * @throws 400 invalid_request when the id has another form or is taken, or a country is none.
 */
export async function createAccount(directory: Directory, input: NewAccount, actor: Actor): Promise<Account> {
  const account_id = readAccountId(input.account_id);
  await checkCountries(input.settings ?? {});
  const created_at = instant(directory.storage.now());
  const row = { account_id, name: input.name, settings: input.settings ?? {}, created_at, created_by: actor.id };
  const created = await directory.storage.write(async (tx) => {
    if (!(await insertAccount(tx.db, row))) return false;
    for (const strategy of ["email", "sms"] as const) {
      await insertConnection(tx.db, { account_id, name: strategy, strategy, created_at });
    }
    await recordDeed(tx, { account_id, action: "account.created", entity: account_id, now: created_at, actor });
    return true;
  });
  if (!created) throw refuseField("account_id", "taken", "is taken");
  return findAccount(directory, account_id);
}
