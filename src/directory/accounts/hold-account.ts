import { noSuch } from "../../errors.ts";
import type { Instant, Transaction } from "../../storage/storage.ts";
import type { Account } from "./account.ts";
import { holdSettings, selectAccount } from "./store.ts";

/** The account as committed, whose settings nobody else changes until this transaction ends. @throws 404 not_found. */
export async function holdAccount({ db }: Transaction, account_id: string, now: Instant): Promise<Account> {
  await holdSettings(db, account_id, now);
  const account = await selectAccount(db, account_id);
  if (!account) throw noSuch("account");
  return account;
}
