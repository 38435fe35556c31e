import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import { canonicalEmail, canonicalPhoneNumber } from "../../directory/users/identifier.ts";
import { selectAny, selectKnown } from "./store.ts";

/**
 * Whether the person behind an address or number has logged in in this browser before, as long as its sessions are
 * remembered. Asks the same of an unknown one.
 */
export async function knowsPerson(
  { storage }: Directory,
  { account_id, settings }: Account,
  browser: Uint8Array,
  identifier: string,
): Promise<boolean> {
  const canonical = identifier.includes("@")
    ? canonicalEmail(identifier)
    : (await canonicalPhoneNumber(identifier, settings.country))?.number;
  return selectKnown(storage.read, account_id, browser, { identifier: canonical ?? "" });
}

/** … of a person who has been named already. */
export const knowsUser = (
  { storage }: Directory,
  account_id: string,
  browser: Uint8Array,
  user_id: string,
): Promise<boolean> => selectKnown(storage.read, account_id, browser, { user_id });

/** Whether anybody has logged in in this browser, as long as its sessions are remembered. */
export const hasLoggedIn = (
  { read }: Pick<Directory["storage"], "read">,
  account_id: string,
  browser: Uint8Array,
): Promise<boolean> => selectAny(read, account_id, browser);
