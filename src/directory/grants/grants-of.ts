import type { Account } from "../accounts/account.ts";
import { findAccount } from "../accounts/find-account.ts";
import type { Client } from "../clients/client.ts";
import { cacheKey, type Directory } from "../directory.ts";
import type { Grant } from "./grant.ts";
import { selectGrants } from "./store.ts";

const loadsOf = ({ storage }: Directory, { account_id, id }: Client) =>
  [cacheKey(account_id, id), () => selectGrants(storage.read, account_id, { client_id: id })] as const;

/** All live grants of a client, none too, at most 5 s old. */
export async function grantsOf(directory: Directory, client: Client): Promise<readonly Grant[]> {
  return withPublic(directory, client, (await directory.grants.get(...loadsOf(directory, client))) ?? []);
}

/** For who misses something in its own of them, as they are known here. */
export function reloadGrants(directory: Directory, client: Client): Promise<readonly Grant[] | undefined> {
  return directory.grants.reload(...loadsOf(directory, client));
}

/** What the account lets every client that registered itself ask people for. */
export const openTo = ({ settings }: Account) =>
  Object.entries(settings.public_client_grants).map(([audience, scope]) => ({
    ...{ audience, scope },
    type: "authorization_code" as const,
  }));

/** … as grants without a row, so without an id. */
async function publicGrants(directory: Directory, client: Client): Promise<readonly Grant[]> {
  const { account_id, id: client_id, created_at, updated_at } = client;
  const nobody = { created_at, created_by: null, updated_at, deleted_at: null, deleted_by: null };
  return openTo(await findAccount(directory, account_id)).map((grant) => ({
    ...{ account_id, id: "", client_id, oidc: null },
    ...grant,
    ...nobody,
  }));
}

/** A client's own, and what the account gives every client that registered itself. */
export async function withPublic(
  directory: Directory,
  client: Client,
  own: readonly Grant[],
): Promise<readonly Grant[]> {
  return client.origin === "account" ? own : [...own, ...(await publicGrants(directory, client))];
}
