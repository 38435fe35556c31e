import type { Fault } from "../../errors.ts";
import { malformed } from "../../http/error-reply.ts";
import { LANGUAGES, languageOf } from "../../http/languages.ts";
import { oneSpelling } from "../../http/one-spelling.ts";
import { isFetchable } from "../clients/callback.ts";
import { OWN_AUDIENCES } from "../grants/audience.ts";
import { isOwner } from "./account.ts";
import type { AccountSettings } from "./settings.ts";

type Settings = Partial<AccountSettings>;

/** What no schema can say of an account's settings. @throws 400 invalid_request with every fault. */
export async function checkAccountSettings(account_id: string, settings: Settings): Promise<void> {
  const faults = [
    ...(await countryFaults(settings)),
    ...localeFaults(settings),
    ...jwksFaults(settings),
    ...signupFaults(account_id, settings),
    ...audienceFaults(settings),
  ];
  if (faults.length > 0) throw malformed(faults);
}

/**
 * Telephone numbers have to know the countries of an account: with `UK` for `GB` its numbers would be read wrong, or
 * get no SMS, and nobody would be told.
 */
async function countryFaults({ country, sms_countries = [] }: Settings): Promise<readonly Fault[]> {
  const named = sms_countries.map((code, index) => [`sms_countries.${index}`, code] as const);
  const all = country === undefined ? named : [["country", country] as const, ...named];
  if (all.length === 0) return [];
  const { isSupportedCountry } = await import("libphonenumber-js/min");
  const message = "must be a country of ISO 3166-1 alpha-2 that has telephone numbers, such as NO or GB";
  return all.flatMap(([path, code]) => (isSupportedCountry(code) ? [] : [{ path, code: "country", message }]));
}

/** Whoever sets a language that nothing is written in would get English, and would not be told. */
function localeFaults({ locale }: Settings): readonly Fault[] {
  if (locale === undefined || languageOf([locale])) return [];
  return [
    { path: "locale", code: "language", message: `must be a language that messages are written in: ${LANGUAGES}` },
  ];
}

/** With keys that can never be fetched none of the account's own users could log in. */
function jwksFaults({ jwks }: Settings): readonly Fault[] {
  if (!jwks || isFetchable(jwks.uri)) return [];
  const message = "must be https, or http on a loopback address, without a user name";
  return [{ path: "jwks.uri", code: "https", message }];
}

/** Accounts are opened under owners alone. */
function signupFaults(account_id: string, { signup }: Settings): readonly Fault[] {
  if (!signup || isOwner(account_id)) return [];
  return [{ path: "signup", code: "owner", message: "is for owners alone, whose last five digits are 0" }];
}

/** A setting names no audience that a grant may not, and each once. */
function audienceFaults({ api_audiences = [], public_client_grants = {} }: Settings): readonly Fault[] {
  const settings = [
    api_audiences.map((audience, index) => [`api_audiences.${index}`, audience] as const),
    Object.keys(public_client_grants).map((audience) => [`public_client_grants.${audience}`, audience] as const),
  ];
  const reserved = `must not be empty or begin with ${OWN_AUDIENCES}, which is the server's own`;
  return settings.flatMap((named) => {
    const first = new Map(named.toReversed().map(([path, audience]) => [oneSpelling(audience), path]));
    return named.flatMap(([path, audience]) => {
      if (audience === "" || audience.startsWith(OWN_AUDIENCES)) return [{ path, code: "reserved", message: reserved }];
      const before = first.get(oneSpelling(audience));
      return before === path ? [] : [{ path, code: "taken", message: `names the same API as ${before}` }];
    });
  });
}
