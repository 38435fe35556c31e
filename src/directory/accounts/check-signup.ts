import { refuseField } from "../../errors.ts";
import { isOwner } from "./account.ts";
import type { AccountSettings } from "./settings.ts";

/** Accounts are opened under owners alone. @throws 400 invalid_request. */
export function checkSignup(account_id: string, { signup }: Partial<AccountSettings>): void {
  if (signup && !isOwner(account_id))
    throw refuseField("signup", "owner", "is for owners alone, whose last five digits are 0");
}
