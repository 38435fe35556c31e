/** The canonical form of what names a person: two spellings of one address or number are one identifier. */
import { domainToASCII } from "node:url";
import { refuseField } from "../../errors.ts";

export type IdentifierType = "email" | "phone_number" | "user_id";

export interface Identifier {
  readonly type: IdentifierType;
  /** Canonical. */
  readonly value: string;
}

/** Names of letters, digits, hyphens and underscores, as mail servers look them up. */
const HOST = /^[\w-]+(\.[\w-]+)*$/;

/** Lower case, ASCII domain without the dot that may end it. @returns undefined when it is no address. */
export function canonicalEmail(email: string): string | undefined {
  const [, local, domain] =
    /^([^\s\p{C}@<>(),;:"\\[\]]{1,64})@([^\s@/?#:]{1,253})$/u.exec(email.trim().normalize("NFC")) ?? [];
  if (local === undefined || domain === undefined) return undefined;
  const host = domainToASCII(domain.toLowerCase()).replace(/\.$/, "");
  return !HOST.test(host) ? undefined : `${local.toLowerCase()}@${host}`;
}

/** Fifteen digits at most: some countries have longer ones, which nobody can be reached at from elsewhere. */
const E164 = /^\+[0-9]{1,15}$/;

export interface PhoneNumber {
  /** E.164 */
  readonly number: string;
  /** ISO 3166-1 alpha-2, where the number's prefix tells. */
  readonly country: string | null;
}

/**
 * `country` is assumed for a number without `+`. @returns undefined when it cannot be a number, or when what it was
 * read as would be read as yet another one: `+44 00 74…` loses one of its zeros each time, and would be two identifiers
 * of one person.
 */
export async function canonicalPhoneNumber(number: string, country: string): Promise<PhoneNumber | undefined> {
  const { parsePhoneNumberFromString } = await import("libphonenumber-js/min");
  const read = (text: string) => parsePhoneNumberFromString(text, { defaultCountry: country as never, extract: false });
  const parsed = read(number.trim());
  if (!parsed?.isPossible() || !E164.test(parsed.number)) return undefined;
  if (read(parsed.number)?.number !== parsed.number) return undefined;
  return { number: parsed.number, country: parsed.country ?? null };
}

/**
 * As somebody wrote it; a user's id is taken as it is. `country` is assumed for a number without `+`.
 *
 * @param path of the field that the error names.
 * @throws 400 invalid_request when it is no address, or cannot be a number.
 */
export async function readIdentifier(
  type: IdentifierType,
  text: string,
  country: string,
  path: string = type,
): Promise<Identifier> {
  switch (type) {
    case "email":
      return { type, value: readEmail(text, path) };
    case "phone_number":
      return { type, value: (await readPhone(text, country, path)).number };
    case "user_id":
      return { type, value: text };
  }
}

/** @throws 400 invalid_request when it is no address. */
export function readEmail(email: string, path = "email"): string {
  const canonical = canonicalEmail(email);
  if (canonical === undefined) throw refuseField(path, "format", "is not an e-mail address");
  return canonical;
}

/** @throws 400 invalid_request when it cannot be a number. */
export async function readPhone(number: string, country: string, path = "phone_number"): Promise<PhoneNumber> {
  const phone = await canonicalPhoneNumber(number, country);
  if (!phone) throw refuseField(path, "format", "is not a phone number");
  return phone;
}
