import type { Account } from "../../directory/accounts/account.ts";
import { canonicalPhoneNumber } from "../../directory/users/identifier.ts";
import type { VerifiedField } from "../../directory/users/verify-contact.ts";

/**
 * Whose number it is, and who has it asked for: nobody's yet; a person's own; a person's own, and whoever asks has proved
 * to be that person or administers the account.
 */
export type Standing = "new" | "known" | "own";

/** Whom a message is for, and null where that is nobody; the country that a number is of. */
export interface Recipient {
  readonly strategy: "email" | "sms";
  readonly to: string | null;
  readonly country: string | null;
  readonly standing: Standing;
}

/** Over which connection it is reached. */
export const strategyOf = (field: VerifiedField) => (field === "email" ? ("email" as const) : ("sms" as const));

export async function recipientOf(
  strategy: Recipient["strategy"],
  to: string | null,
  account: Account,
  standing: Standing,
): Promise<Recipient> {
  const country = strategy === "sms" && to !== null ? await countryOf(to, account) : null;
  return { strategy, to, country, standing };
}

/** @returns ISO 3166-1 alpha-2; null for what is no number. */
export async function countryOf(number: string, { settings }: Account): Promise<string | null> {
  return (await canonicalPhoneNumber(number, settings.country))?.country ?? null;
}
