import { findAccount, readAccount } from "../../directory/accounts/find-account.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { isAccountApi, isAnAccountApi } from "../../directory/grants/audience.ts";
import {
  changedSubject,
  NAMES_TAKEN,
  PUBLIC_GRANTS_CHANGED,
  publicGrantAt,
} from "../../directory/grants/change-grants.ts";
import { findGrantById, lookUpPublicGrant, pickGrant } from "../../directory/grants/find-grant.ts";
import type { Grant } from "../../directory/grants/grant.ts";
import { refuse, unlessRefused } from "../../errors.ts";
import { type AccessToken, restsOn } from "../../tokens/verify.ts";
import { givenBy, identity_scopes } from "../scopes.ts";

const GRANT = "grant:";
const PUBLIC = publicGrantAt("");

/**
 * Grants of this account that a token hangs on, and that have changed since any token began. Where a name was taken from
 * the account API, its own may be another API's by now; a partner's is none of this account, and lasts an hour.
 */
const changedGrants = ({ revocations }: Directory, account_id: string, token: AccessToken) => {
  const { grant_id, partner_account } = token;
  const renamed = partner_account === undefined && revocations.knows(account_id, NAMES_TAKEN);
  return restsOn(token).filter((named) => {
    if (named.startsWith(PUBLIC)) return renamed || revocations.knows(account_id, PUBLIC_GRANTS_CHANGED);
    if (renamed && named === `${GRANT}${grant_id}`) return true;
    return named.startsWith(GRANT) && revocations.knows(account_id, changedSubject(named));
  });
};

/** Whether `checkStillGiven` has anything to look at. */
export const mayHaveLost = (directory: Directory, account_id: string, token: AccessToken): boolean =>
  changedGrants(directory, account_id, token).length > 0;

/**
 * A token lives while it holds nothing that was taken from the grants of this account that it hangs on, its own and that of
 * what it was exchanged for. Looked at only where such a grant has changed since any token began.
 *
 * @throws 401 invalid_token.
 */
export async function checkStillGiven(directory: Directory, account_id: string, token: AccessToken): Promise<void> {
  for (const named of changedGrants(directory, account_id, token)) {
    const known = await lookUpKnown(directory, account_id, token, named);
    if (known && (await takenBy(directory, account_id, known, token)) === undefined) continue;
    // Another process may have given a moment ago what is not known here.
    const grant = await lookUpCommitted(directory, account_id, named);
    if (!grant) throw refuse("invalid_token", { detail: `${named} is gone` });
    const taken = await takenBy(directory, account_id, grant, token);
    if (taken !== undefined) throw refuse("invalid_token", { detail: `taken from ${named}: ${taken}` });
  }
}

type Gives = Pick<Grant, "audience" | "scope">;

/** At most 5 s old; undefined also where it is another client's, whose token this one was exchanged for. */
async function lookUpKnown(
  directory: Directory,
  account_id: string,
  { client_uuid }: AccessToken,
  named: string,
): Promise<Gives | undefined> {
  if (named.startsWith(PUBLIC)) return lookUpPublicGrant(directory, account_id, named.slice(PUBLIC.length));
  const client = await lookUpClient(directory, account_id, client_uuid);
  return client && pickGrant(directory, client, (grants) => grants.find(({ id }) => id === named.slice(GRANT.length)));
}

async function lookUpCommitted(directory: Directory, account_id: string, named: string): Promise<Gives | undefined> {
  if (named.startsWith(PUBLIC))
    return lookUpPublicGrant(directory, account_id, named.slice(PUBLIC.length), readAccount);
  return findGrantById(directory, account_id, named.slice(GRANT.length)).catch(unlessRefused("not_found"));
}

/** A scope of the token that a grant gives no more; its audience where that is the account API's and not the grant's. */
async function takenBy(
  directory: Directory,
  account_id: string,
  { audience, scope }: Gives,
  token: AccessToken,
): Promise<string | undefined> {
  const account = await findAccount(directory, account_id);
  const { public_url } = directory;
  const at_account_api = isAnAccountApi(account, public_url, audience);
  if (!at_account_api && isAccountApi(account, public_url, token.audience)) return token.audience;
  const given = givenBy(scope, at_account_api);
  return token.scope.find((one) => !identity_scopes.includes(one) && !given(one));
}
