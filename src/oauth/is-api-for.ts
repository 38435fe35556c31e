import { findAccount } from "../directory/accounts/find-account.ts";
import type { Client } from "../directory/clients/client.ts";
import type { Directory } from "../directory/directory.ts";
import { isSameAudience } from "../directory/grants/audience.ts";
import { lookUpAt } from "../directory/judge.ts";

/** Whether a client is the API that tokens with this audience are for, by any name of it. */
export async function isApiFor(directory: Directory, client: Client, audience: string): Promise<boolean> {
  const found = await lookUpAt(directory, client, async ({ account_id, settings }) => {
    const account = await findAccount(directory, account_id);
    return settings.resource_for.find((name) => isSameAudience(account, directory.public_url, name, audience));
  });
  return found !== undefined;
}
