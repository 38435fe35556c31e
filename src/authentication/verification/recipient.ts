import type { Account } from "../../directory/accounts/account.ts";
import { canonicalPhoneNumber } from "../../directory/users/identifier.ts";

/** Whom a message is for, and null where that is nobody; the country that a number is of. */
export interface Recipient {
  readonly strategy: "email" | "sms";
  readonly to: string | null;
  readonly country: string | null;
}

export async function recipientOf(
  strategy: Recipient["strategy"],
  to: string | null,
  account: Account,
): Promise<Recipient> {
  return { strategy, to, country: strategy === "sms" && to !== null ? await countryOf(to, account) : null };
}

/** @returns ISO 3166-1 alpha-2; null for what is no number. */
export async function countryOf(number: string, { settings }: Account): Promise<string | null> {
  return (await canonicalPhoneNumber(number, settings.country))?.country ?? null;
}
