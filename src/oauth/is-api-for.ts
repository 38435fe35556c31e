import type { Account } from "../directory/accounts/account.ts";
import type { Client } from "../directory/clients/client.ts";
import { canonicalAudience } from "../directory/grants/audience.ts";

/** Whether a client is the API that tokens with this audience are for, by any name of it. */
export function isApiFor({ settings }: Client, account: Account, public_url: string, audience: string): boolean {
  const canonical = (name: string) => canonicalAudience(account, public_url, name);
  return settings.resource_for.map(canonical).includes(canonical(audience));
}
