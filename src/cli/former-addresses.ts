import { readAccounts } from "../directory/accounts/find-account.ts";
import { accountElsewhere, listLostGrants } from "../directory/grants/lost-grants.ts";
import { oneSpelling } from "../http/one-spelling.ts";
import { audiencesOfLogins } from "../oauth/refresh/find-family.ts";
import { USERINFO } from "../oauth/scopes.ts";
import { slices } from "../storage/pages.ts";
import type { Storage } from "../storage/storage.ts";

/** Lost grants that are counted, about, and accounts that are named: enough to see what happened. */
const MOST = 1_000;
const NAMED = 20;
/** Accounts that are read together. */
const PAGE = 100;

interface Lost {
  readonly names: Set<string>;
  readonly api_audiences: readonly string[];
  grants: number;
  logins: number;
}

/** What grants and logins lost when PUBLIC_URL became another one, a line for each account, with what to do. */
export async function formerAddresses(storage: Storage, public_url: string): Promise<readonly string[]> {
  const directory = { storage, public_url };
  const own = new Map<string, Lost>();
  const under: string[] = [];
  const lostOf = (account_id: string, api_audiences: readonly string[]): Lost => {
    const lost = own.get(account_id) ?? { names: new Set(), api_audiences, grants: 0, logins: 0 };
    own.set(account_id, lost);
    return lost;
  };
  for (const { account, of, client_id, audience } of await listLostGrants(directory, { most: MOST })) {
    const { account_id, settings } = account;
    if (of !== account_id) {
      const remedy = `latchkey grant create ${account_id} ${client_id} --audience ${public_url}/v1/accounts/${of} --scope …`;
      under.push(`a grant of ${account_id} is for ${audience}. If that was this server, make it again: ${remedy}`);
      continue;
    }
    const lost = lostOf(account_id, settings.api_audiences);
    lost.names.add(audience);
    lost.grants++;
  }
  for (const page of slices(await audiencesOfLogins(storage, public_url), PAGE)) {
    const accounts = await readAccounts(directory, [...new Set(page.map(({ account_id }) => account_id))]);
    for (const { account_id, audience, logins } of page) {
      const account = accounts.get(account_id);
      const name = audience.endsWith(USERINFO) ? audience.slice(0, -USERINFO.length) : audience;
      if (!account || accountElsewhere(account, public_url, name) !== account_id) continue;
      const lost = lostOf(account_id, account.settings.api_audiences);
      lost.names.add(name);
      lost.logins += logins;
    }
  }
  const lines = [...[...own].map(([account_id, lost]) => lineOf(account_id, lost)), ...under];
  const further = lines.length - NAMED;
  return further > 0 ? [...lines.slice(0, NAMED), `${further} more like these.`] : lines;
}

function lineOf(account_id: string, { names, api_audiences, grants, logins }: Lost): string {
  // No setting names an API twice, though one that is there already may.
  const all = new Map([...api_audiences, ...names].map((name) => [oneSpelling(name), name]));
  const remedy = `latchkey account set ${account_id} 'api_audiences=${JSON.stringify([...all.values()]).replaceAll("'", "'\\''")}'`;
  return `${grants} grant(s) and ${logins} login(s) of ${account_id} are for ${[...names].join(", ")}. If that was this server, and no other is there by now (tokens for it would be good here), run: ${remedy}`;
}
