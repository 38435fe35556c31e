import { Refusal, refuse, unlessRefused } from "../errors.ts";
import { isBadJwt } from "../secrets/bad-jwt.ts";
import type { Account } from "./accounts/account.ts";
import { findAccount, reloadAccount } from "./accounts/find-account.ts";
import type { Client } from "./clients/client.ts";
import { reloadClient } from "./clients/find-client.ts";
import { cacheKey, type Directory } from "./directory.ts";
import { reloadGrants } from "./grants/grants-of.ts";

/** Something that is remembered here, at most 5 s old. */
interface Known {
  /** Another one where it has changed. */
  version(): unknown;
  /** Reads it again, about once a second. */
  reload(): Promise<unknown>;
}

/** What passes by itself, and faults of ours, say nothing about what was judged. */
const isRefusal = (error: unknown): boolean =>
  error instanceof Refusal ? error.code !== "temporarily_unavailable" : isBadJwt(error);

/**
 * What `judge` makes of what is known here. Where that is a refusal, another process may have changed it a moment ago:
 * then what it makes of that. Anybody may ask for what is refused, so that is looked for about once a second, and costs
 * nothing where nothing is refused. `judge` runs twice then, so it spends nothing.
 */
async function judgeKnown<T>(known: readonly Known[], judge: () => T | Promise<T>): Promise<T> {
  const before = known.map((one) => one.version());
  try {
    return await judge();
  } catch (refusal) {
    if (!isRefusal(refusal)) throw refusal;
    await Promise.all(known.map((one) => one.reload())).catch(() => Promise.reject(refusal));
    if (known.every((one, index) => one.version() === before[index])) throw refusal;
    return judge();
  }
}

const knownAccount = (directory: Directory, account_id: string): Known => ({
  version: () => directory.accounts.peek(account_id),
  reload: () => reloadAccount(directory, account_id),
});

/** What `judge` makes of an account; where it refuses, of the account as another process may have left it. */
export function judgeAccount<T>(
  directory: Directory,
  account_id: string,
  judge: (account: Account) => T | Promise<T>,
): Promise<T> {
  const known = [knownAccount(directory, account_id)];
  return judgeKnown(known, async () => judge(await findAccount(directory, account_id)));
}

/**
 * … of a client, its grants and its account; those two are for `judge` to find where it needs them, each time it runs.
 */
export function judgeClient<C extends Client, T>(
  directory: Directory,
  client: C,
  judge: (client: C) => T | Promise<T>,
): Promise<T> {
  const { account_id, id, updated_at } = client;
  let current = client;
  const itself: Known = {
    version: () => current.updated_at,
    async reload() {
      const now = await reloadClient(directory, client);
      if (now && now.updated_at !== updated_at) current = { ...client, ...now };
    },
  };
  const grants: Known = {
    version: () => directory.grants.peek(cacheKey(account_id, id)),
    reload: () => reloadGrants(directory, client),
  };
  return judgeKnown([itself, grants, knownAccount(directory, account_id)], () => judge(current));
}

/** … what `look` finds there, or undefined. */
export function lookUpAt<C extends Client, T>(
  directory: Directory,
  client: C,
  look: (client: C) => T | undefined | Promise<T | undefined>,
): Promise<T | undefined> {
  const find = async (current: C): Promise<T> => {
    const found = await look(current);
    if (found === undefined) throw refuse("not_found");
    return found;
  };
  return judgeClient(directory, client, find).catch(unlessRefused("not_found"));
}
