import { type Account, canonicalAccountId, issuerOf, ownerOf } from "../accounts/account.ts";
import { readAccounts } from "../accounts/find-account.ts";
import type { Directory } from "../directory.ts";
import { isOurs } from "../scopes.ts";
import { audiencesOf, urlsOf } from "./audience.ts";
import { type Holding, type Looked, pagesLookedAt, selectHeld } from "./store.ts";

/** URLs that are as harmless in a shell as in a log: whoever may make grants may write anything into one. */
const URL_OF_ACCOUNT = /^https?:\/\/[\w.:[\]-]+(?:\/[\w.~-]+)*\/v1\/accounts\/([PT]\d+)$/;

/**
 * The account whose API this is at an address that is none of this server's by now, as seen by an account: its own, or
 * one under it. Undefined for any other audience.
 */
export function accountElsewhere(account: Account, public_url: string, audience: string): string | undefined {
  const [, named = ""] = URL_OF_ACCOUNT.exec(audience) ?? [];
  const account_id = canonicalAccountId(named);
  if (account_id === undefined || namesHere(account, public_url, account_id).includes(audience)) return undefined;
  return account_id === account.account_id || ownerOf(account_id) === account.account_id ? account_id : undefined;
}

/** Each name that the API of an account has by now, as seen by that one or another. */
const namesHere = (account: Account, public_url: string, account_id: string): readonly string[] =>
  account_id === account.account_id
    ? audiencesOf(account, public_url, issuerOf(public_url, account_id))
    : urlsOf(account_id, public_url);

/**
 * A grant for an account API whose client holds none for it at the address of now. One whose scopes are all another service's
 * words is for that one, whose URLs may look alike.
 */
export interface LostGrant {
  readonly account: Account;
  /** The account whose API it was for. */
  readonly of: string;
  readonly client_id: string;
  readonly audience: string;
}

export interface Look {
  /** Ends with the page by which so many are found. */
  readonly most: number;
  /** Ends when so many grants were looked at, whatever became of them; else with the last one. */
  readonly looks?: number;
  readonly signal?: AbortSignal;
}

type Where = Pick<Directory, "storage" | "public_url">;

/** What a change of PUBLIC_URL has cut off, as committed. A page of grants takes three statements at most. */
export async function listLostGrants(
  directory: Where,
  { most, looks = Number.POSITIVE_INFINITY, signal }: Look,
): Promise<readonly LostGrant[]> {
  const lost: LostGrant[] = [];
  let looked = 0;
  for await (const page of pagesLookedAt(directory.storage.read, directory.public_url)) {
    signal?.throwIfAborted();
    lost.push(...(await lostOf(directory, page)));
    looked += page.length;
    if (lost.length >= most || looked >= looks) break;
  }
  return lost;
}

async function lostOf(directory: Where, page: readonly Looked[]): Promise<readonly LostGrant[]> {
  const { storage, public_url } = directory;
  const elsewhere = page.filter(({ scope }) => scope && (scope.length === 0 || scope.some(isOurs)));
  const accounts = await readAccounts(directory, [...new Set(elsewhere.map(({ account_id }) => account_id))]);
  const cut = elsewhere.flatMap(({ account_id, client_id, audience }) => {
    const account = accounts.get(account_id);
    const of = account && accountElsewhere(account, public_url, audience);
    return of ? { account, of, client_id, audience } : [];
  });
  const enough = ({ account, of, client_id }: LostGrant): readonly Holding[] =>
    namesHere(account, public_url, of).map((audience) => ({ account_id: account.account_id, client_id, audience }));
  const asked = new Map(cut.flatMap(enough).map((one) => [keyOf(one), one]));
  const held = new Set((await selectHeld(storage.read, [...asked.values()])).map(keyOf));
  return cut.filter((grant) => !enough(grant).some((one) => held.has(keyOf(one))));
}

const keyOf = ({ client_id, audience }: Holding): string => `${client_id} ${audience}`;
