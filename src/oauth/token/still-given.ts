import type { Account } from "../../directory/accounts/account.ts";
import { readAccount } from "../../directory/accounts/find-account.ts";
import type { Directory } from "../../directory/directory.ts";
import { isAccountApi } from "../../directory/grants/audience.ts";
import { publicGrantAt } from "../../directory/grants/change-grants.ts";
import { lookUpPublicGrant } from "../../directory/grants/find-grant.ts";
import type { AuthorizationCode } from "../authorization-code.ts";
import { countedScope, givenBy, identity_scopes } from "../scopes.ts";

/**
 * What was authorized, without what was taken since from the client's grant or `public_client_grants`; where the audience
 * is a name of the account API by now, what counts there.
 *
 * @param held what the client's grant holds now, as `spendCode` answered it.
 */
export async function stillGiven(
  directory: Directory,
  account: Account,
  { authorization: { audience, scope: authorized, holds = [] } }: AuthorizationCode,
  held: string | null,
): Promise<readonly string[]> {
  const at_account_api = isAccountApi(account, directory.public_url, audience);
  const scope = at_account_api ? countedScope(authorized, holds) : authorized;
  const leftBy = (gives: readonly string[]) => {
    const given = givenBy(gives, at_account_api);
    return scope.filter((one) => identity_scopes.includes(one) || given(one));
  };
  if (held !== null) return leftBy(JSON.parse(held) as string[]);
  if (!holds.includes(publicGrantAt(audience))) return scope;
  const known = leftBy((await lookUpPublicGrant(directory, account.account_id, audience))?.scope ?? []);
  if (known.length === scope.length) return known;
  // Another process may have given a moment ago what is not known here.
  return leftBy((await lookUpPublicGrant(directory, account.account_id, audience, readAccount))?.scope ?? []);
}
