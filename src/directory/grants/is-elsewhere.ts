import { type RawBuilder, sql } from "kysely";

/**
 * Of rows with an audience: something like an account API, or what is below one, that is not below this address, nor a name that
 * each account API has.
 */
export function isElsewhere(public_url: string): RawBuilder<boolean> {
  const here = `${public_url}/v1/accounts/`;
  return sql<boolean>`(audience like 'http%/v1/accounts/%' and audience not like 'https://api.dintero.com/%'
    and audience not like 'https://%@%' and substr(audience, 1, ${sql.lit(here.length)}) <> ${here})`;
}
