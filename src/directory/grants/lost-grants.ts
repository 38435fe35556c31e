import { type Account, canonicalAccountId, ownerOf } from "../accounts/account.ts";
import { readAccount } from "../accounts/find-account.ts";
import type { Directory } from "../directory.ts";
import { isAccountApi, isAccountUrl } from "./audience.ts";
import { listGrants } from "./find-grant.ts";
import { pagesElsewhere } from "./store.ts";

/** URLs that are as harmless in a shell as in a log: whoever may make grants may write anything into one. */
const URL_OF_ACCOUNT = /^https?:\/\/[\w.:[\]-]+(?:\/[\w.~-]+)*\/v1\/accounts\/([PT]\d+)$/;

/**
 * The account whose API this is at an address that is none of this server's by now, as seen by an account: its own, or
 * one under it. Undefined for any other audience.
 */
export function accountElsewhere(account: Account, public_url: string, audience: string): string | undefined {
  const [, named = ""] = URL_OF_ACCOUNT.exec(audience) ?? [];
  const account_id = canonicalAccountId(named);
  if (account_id === undefined || isNamed(account, public_url, account_id, audience)) return undefined;
  return account_id === account.account_id || ownerOf(account_id) === account.account_id ? account_id : undefined;
}

const isNamed = (account: Account, public_url: string, account_id: string, audience: string): boolean =>
  account_id === account.account_id
    ? isAccountApi(account, public_url, audience)
    : isAccountUrl(account_id, public_url, audience);

/** A grant for an account API whose client holds none for it at the address of now. */
export interface LostGrant {
  readonly account: Account;
  /** The account whose API it was for. */
  readonly of: string;
  readonly client_id: string;
  readonly audience: string;
}

/** What a change of PUBLIC_URL has cut off, as committed; the first `limit` at least, where there are so many. */
export async function listLostGrants(
  directory: Pick<Directory, "storage" | "public_url">,
  limit: number,
): Promise<readonly LostGrant[]> {
  const { storage, public_url } = directory;
  const lost: LostGrant[] = [];
  for await (const grants of pagesElsewhere(storage.read, public_url)) {
    for (const { account_id, client_id, audience } of grants) {
      const account = await readAccount(directory, account_id);
      const of = account && accountElsewhere(account, public_url, audience);
      if (!of) continue;
      const held = await listGrants(directory, account_id, { client_id });
      if (held.some((grant) => isNamed(account, public_url, of, grant.audience))) continue;
      lost.push({ account, of, client_id, audience });
    }
    if (lost.length >= limit) break;
  }
  return lost;
}
