import type { Account } from "../directory/accounts/account.ts";
import { findAccount } from "../directory/accounts/find-account.ts";
import type { Client } from "../directory/clients/client.ts";
import type { Directory } from "../directory/directory.ts";
import { isAccountApi } from "../directory/grants/audience.ts";
import { lookUpGrant } from "../directory/grants/find-grant.ts";
import type { Grant } from "../directory/grants/grant.ts";
import { grantsOf } from "../directory/grants/grants-of.ts";
import { refuse } from "../errors.ts";
import { namedAudience, unnamed } from "./named-audience.ts";
import { givenBy, identity_scopes, OFFLINE, userinfoAudience } from "./scopes.ts";

/** What a token will be for. */
export interface Target {
  /** As it was asked for; null for userinfo alone. */
  readonly audience: string | null;
  /** Empty where none is needed. */
  readonly grant_id: string;
  /** What tokens would get: of the grant, and identity scopes. */
  readonly scope: readonly string[];
  /**
   * People are asked for a login that lasts, whether or not the client named `offline_access`. The scope has it only where
   * it did: clients throw away what says more than they asked for. Absent in a version before, whose scope has it.
   */
  readonly lasting?: boolean;
}

/** Whether an API is meant by one of these scopes: a grant of the client gives it. */
async function areOfAnApi(
  directory: Directory,
  account: Account,
  client: Client,
  scopes: readonly string[],
): Promise<boolean> {
  const held = await grantsOf(directory, client);
  const isHere = ({ audience }: Pick<Grant, "audience">) => isAccountApi(account, directory.public_url, audience);
  return [true, false].some((here) => {
    const gives = held.filter((grant) => isHere(grant) === here).flatMap(({ scope }) => scope);
    return scopes.some(givenBy(gives, here));
  });
}

/** A grant gives no more scopes, so no more can be meant. */
const MOST_SCOPES = 200;

/**
 * What the token will be for: the API that the request or the client's setting names, else userinfo alone. There a login
 * leaves out what it asks for that nobody here knows (OpenID Connect Core §3.1.2.1). Nobody is promised a login that
 * lasts by a client that gets no refresh tokens (§11). By what is known here, so it is for `judgeClient` to run.
 *
 * @throws 400 invalid_scope, invalid_target.
 */
export async function targetOf(
  directory: Directory,
  client: Client,
  named: { readonly resource?: string | undefined; readonly audience?: string | undefined },
  asked: readonly string[],
): Promise<Target> {
  const account = await findAccount(directory, client.account_id);
  const all = [...new Set(asked)];
  const may_last = client.settings.grant_types.includes("refresh_token");
  // One that the account did not make asks for refresh tokens by naming their grant.
  const lasting = may_last && (client.origin !== "account" || all.includes(OFFLINE));
  const about = all.filter((scope) => identity_scopes.includes(scope) && (may_last || scope !== OFFLINE));
  const others = all.filter((scope) => !identity_scopes.includes(scope));
  if (others.length > MOST_SCOPES) throw refuse("invalid_scope", { message: "No grant gives so many scopes." });
  const wanted = namedAudience(named) ?? client.settings.default_audience ?? undefined;
  if (wanted === undefined || wanted === userinfoAudience(directory.public_url, account.account_id)) {
    if (others.length > 0 && (!asked.includes("openid") || (await areOfAnApi(directory, account, client, others))))
      throw unnamed("invalid_scope", "These scopes need an API");
    return { audience: null, grant_id: "", scope: about, lasting };
  }
  const grant = await lookUpGrant(directory, account, client, wanted, "authorization_code");
  if (!grant) throw refuse("invalid_target");
  const at_account_api = isAccountApi(account, directory.public_url, wanted);
  if (!others.every(givenBy(grant.scope, at_account_api))) throw refuse("invalid_scope");
  const granted = others.length > 0 ? others : grant.scope;
  return { audience: wanted, grant_id: grant.id, scope: [...new Set([...about, ...granted])], lasting };
}
