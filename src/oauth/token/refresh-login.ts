import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { grantsOf } from "../../directory/grants/find-grant.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import type { Authorization } from "../../tokens/authorization.ts";
import { issueAccessToken } from "../../tokens/issue.ts";
import { authorizePerson } from "../authorization-for.ts";
import { identity_scopes } from "../browser/authorization-request.ts";
import type { PersonTokens } from "../issue-for-person.ts";
import { narrowScope } from "../narrow-scope.ts";
import type { Oauth } from "../oauth.ts";
import { rotateRefreshToken } from "../refresh/rotate.ts";

export interface Wanted {
  /** Space-separated; absent: all that the login had. */
  readonly scope?: string | undefined;
  /** The key that the request shows. */
  readonly dpop_jkt?: string | undefined;
}

/**
 * A new access token and the next refresh token of a login. Scopes are what the login had, the grant still gives and the person
 * still holds.
 *
 * @throws 400 invalid_grant; 400 invalid_scope for more than the login had.
 */
export async function refreshLogin(
  oauth: Oauth,
  client: Client,
  token: Secret,
  { scope: requested, dpop_jkt }: Wanted = {},
): Promise<PersonTokens> {
  const { directory, tokens } = oauth;
  const now = directory.storage.now();
  const account = await findAccount(directory, client.account_id);
  const { family, refresh_token } = await rotateRefreshToken(
    directory,
    account,
    { client, token, dpop_jkt: dpop_jkt ?? null },
    now,
  );
  const identity = family.scope.filter((scope) => identity_scopes.includes(scope));
  const none = { id: "", scope: [] };
  const grant =
    family.grant_id === "" ? none : (await grantsOf(directory, client)).find(({ id }) => id === family.grant_id);
  const user = await lookUpUser(directory, account.account_id, family.user_id);
  if (!grant || !user) throw refuse("invalid_grant", { message: "The grant or the user is gone." });
  const subject = {
    user_id: user.id,
    ...(user.email === null ? {} : { email: user.email, email_verified: user.email_verified_at !== null }),
    ...(user.name === null ? {} : { name: user.name }),
    authenticated_at: family.auth_time,
    amr: family.amr,
    second_factor: user.second_factor === 1,
    authorization_id: family.id,
  };
  const { audience } = family;
  const current: Authorization = await authorizePerson(directory, { account, client, grant, audience, subject });
  const still = [...identity, ...current.scope.filter((scope) => family.scope.includes(scope))];
  const scope = narrowScope([...new Set(still)], requested);
  return {
    ...(await issueAccessToken(tokens, { ...current, scope, userinfo_claims: family.userinfo_claims, dpop_jkt }, now)),
    refresh_token,
  };
}
