import type { Account } from "../directory/accounts/account.ts";
import type { Client } from "../directory/clients/client.ts";
import { oneLine } from "../http/one-line.ts";

/**
 * What a client is called on a page; one may have chosen a name that has nothing to show. One that the account made goes by
 * the account's, which strangers' clients must not.
 */
export const nameOf = (account: Pick<Account, "name">, { name, client_id, origin }: Client): string =>
  oneLine(name ?? "") || (origin === "account" ? oneLine(account.name) : client_id);
