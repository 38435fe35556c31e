import type { Fault } from "../../errors.ts";
import { malformed } from "../../http/error-reply.ts";
import type { AccountSettings } from "./settings.ts";

/**
 * Telephone numbers have to know the countries of an account: with `UK` for `GB` its numbers would be read wrong, or
 * get no SMS, and nobody would be told.
 *
 * @throws 400 invalid_request with every fault.
 */
export async function checkCountries({ country, sms_countries = [] }: Partial<AccountSettings>): Promise<void> {
  const named = sms_countries.map((code, index) => [`sms_countries.${index}`, code] as const);
  const all = country === undefined ? named : [["country", country] as const, ...named];
  if (all.length === 0) return;
  const { isSupportedCountry } = await import("libphonenumber-js/min");
  const message = "must be a country of ISO 3166-1 alpha-2 that has telephone numbers, such as NO or GB";
  const faults = all.flatMap(([path, code]): Fault[] =>
    isSupportedCountry(code) ? [] : [{ path, code: "country", message }],
  );
  if (faults.length > 0) throw malformed(faults);
}
