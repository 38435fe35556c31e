import { noSuch } from "../../errors.ts";
import type { Directory } from "../directory.ts";
import type { Account } from "./account.ts";
import { type ListedAccount, pagesOfAccounts, selectAccount, selectAccounts } from "./store.ts";

/** A live account, at most 5 s old. @throws 404 not_found. */
export async function findAccount(directory: Directory, account_id: string): Promise<Account> {
  const account = await lookUpAccount(directory, account_id);
  if (!account) throw noSuch("account");
  return account;
}

/** … or undefined. */
export function lookUpAccount(directory: Directory, account_id: string): Promise<Account | undefined> {
  return directory.accounts.get(account_id, () => readAccount(directory, account_id));
}

/** For who misses something in it as it is known here. */
export function reloadAccount(directory: Directory, account_id: string): Promise<Account | undefined> {
  return directory.accounts.reload(account_id, () => readAccount(directory, account_id));
}

/** As committed. */
export function readAccount({ storage }: Pick<Directory, "storage">, account_id: string): Promise<Account | undefined> {
  return selectAccount(storage.read, account_id);
}

/** Those of these that live, by their ids, as committed. */
export async function readAccounts(
  { storage }: Pick<Directory, "storage">,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Account>> {
  const accounts = await selectAccounts(storage.read, ids);
  return new Map(accounts.map((account) => [account.account_id, account]));
}

/** Of everybody, for an operator; in pages, as committed. */
export function listAccounts({ storage }: Directory): AsyncIterable<readonly ListedAccount[]> {
  return pagesOfAccounts(storage.read);
}
