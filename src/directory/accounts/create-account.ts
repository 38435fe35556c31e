import { recordDeed } from "../../audit/audit.ts";
import { refuseField } from "../../errors.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { createConnections } from "../connections/connection.ts";
import type { Actor, Directory } from "../directory.ts";
import { type Account, readAccountId } from "./account.ts";
import { checkAccountSettings } from "./check-settings.ts";
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
 * @throws 400 invalid_request when the id has another form or is taken, a country is none, nothing is written in its language, `jwks` can never be fetched, or
 *   `signup` is for an owner alone.
 */
export async function createAccount(directory: Directory, input: NewAccount, actor: Actor): Promise<Account> {
  const account_id = readAccountId(input.account_id);
  await checkAccountSettings(account_id, input.settings ?? {});
  const now = directory.storage.now();
  const account = await directory.storage.write((tx) => createAccountIn(tx, { ...input, account_id }, actor, now));
  if (!account) throw refuseField("account_id", "taken", "is taken");
  return account;
}

/**
 * Part of a transaction, of an id that is canonical and settings that were checked.
 *
 * @returns undefined when the id is taken.
 */
export async function createAccountIn(
  tx: Transaction,
  { account_id, name, settings = {} }: NewAccount,
  actor: Actor,
  now: number,
): Promise<Account | undefined> {
  const created_at = instant(now);
  const account = await insertAccount(tx.db, { account_id, name, settings, created_at, created_by: actor.id });
  if (!account) return undefined;
  await createConnections(tx, account_id, created_at);
  await recordDeed(tx, { account_id, action: "account.created", entity: account_id, now: created_at, actor });
  return account;
}
