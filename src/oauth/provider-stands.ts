import type { Account } from "../directory/accounts/account.ts";
import type { Client } from "../directory/clients/client.ts";
import type { Directory } from "../directory/directory.ts";
import { listHeld } from "../directory/grants/find-grant.ts";
import { namesProvider, providedFor } from "../directory/grants/provided.ts";
import { refuse } from "../errors.ts";
import { userinfoAudience } from "./scopes.ts";

interface Vouched {
  /** What the login is for. */
  readonly audience: string;
  /** Issuer of the other server that vouched for the person, where one did. */
  readonly provider?: string | null | undefined;
}

/**
 * Whether what another server said of a person still counts at the client whose login it is, as a browser's session does:
 * as long as a grant names that server for what the login is for. As committed.
 */
async function providerStands(
  directory: Directory,
  account: Account,
  client: Client,
  { provider, audience }: Vouched,
): Promise<boolean> {
  if (typeof provider !== "string") return true;
  const asked = audience === userinfoAudience(directory.public_url, account.account_id) ? null : audience;
  return namesProvider(providedFor(directory, account, await listHeld(directory, client), asked), provider);
}

/** @throws 400 invalid_grant where it counts no more. */
export async function checkProvider(
  directory: Directory,
  account: Account,
  client: Client,
  vouched: Vouched,
): Promise<void> {
  if (await providerStands(directory, account, client, vouched)) return;
  throw refuse("invalid_grant", { message: "The client no longer has people log in at that provider." });
}
