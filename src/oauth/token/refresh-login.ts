import type { RequestFacts } from "../../audit/audit.ts";
import { type Account, issuerOf } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { isAccountApi } from "../../directory/grants/audience.ts";
import { lookUpGrant, pickGrantById } from "../../directory/grants/find-grant.ts";
import type { Grant } from "../../directory/grants/grant.ts";
import { noteSeenAt } from "../../directory/users/note-seen.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import type { Authorization } from "../../tokens/authorization.ts";
import { issueAccessToken, issueIdToken } from "../../tokens/issue.ts";
import { authorizePerson } from "../authorization-for.ts";
import { checkBound } from "../dpop/check-bound.ts";
import type { PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";
import { holderOf, type Login } from "../refresh/family.ts";
import { lookUpFamilyOf } from "../refresh/find-family.ts";
import { rotateRefreshToken } from "../refresh/rotate.ts";
import { noteUsed } from "../registration/note-used.ts";
import { givenBy, identity_scopes, narrowScope, userinfoAudience } from "../scopes.ts";
import { toldByScope } from "../userinfo/claims-about.ts";
import { checkTarget } from "./check-target.ts";
import { ID_TOKEN_LIFETIME, spokenSid } from "./redeem-code.ts";

/** What the login may still have: of its grant's row, of the account's public grants, or nothing but userinfo. */
async function grantOf(
  directory: Oauth["directory"],
  account: Account,
  client: Client,
  { grant_id, audience }: Login,
): Promise<Pick<Grant, "id" | "scope"> | undefined> {
  if (grant_id === "" && audience === userinfoAudience(issuerOf(directory.public_url, account.account_id)))
    return { id: "", scope: [] };
  return grant_id === ""
    ? lookUpGrant(directory, account, client, audience, "authorization_code")
    : pickGrantById(directory, client, grant_id);
}

export interface Wanted {
  /** Space-separated; absent: all that the login had. */
  readonly scope?: string | undefined;
  /** The API that the token is to be for; absent: the login's. */
  readonly audience?: string | undefined;
  /** Whose token it has to be, where a person asks with their own; anybody's of the client else. */
  readonly user_id?: string | undefined;
  /** The key that the request shows. */
  readonly dpop_jkt?: string | undefined;
  /** An ID token is wanted too. */
  readonly id_token?: boolean;
}

export interface RefreshedTokens extends PersonTokens {
  readonly id_token?: Secret;
}

/**
 * A new access token and the next refresh token of a login, for the client that holds it; what the token says of its
 * client is whose login it is. Scopes are what the login had, the grant still gives and the person
 * still holds. An ID token comes with `openid` alone, to the client whose login it is: signing it is the dearest part.
 *
 * @throws 400 invalid_grant; 400 invalid_scope for more than the login had; 400 invalid_target for another API.
 */
export async function refreshLogin(
  oauth: Oauth,
  client: Client & { readonly secret_id?: string },
  token: Secret,
  facts: RequestFacts,
  { scope: requested, audience: target, user_id, dpop_jkt, id_token }: Wanted = {},
): Promise<RefreshedTokens> {
  const { directory, tokens } = oauth;
  const { account_id } = client;
  checkBound(client, dpop_jkt);
  // Before the token is spent, or answered once more: whoever asked for too much asks again with the same one.
  const named = requested !== undefined || target !== undefined || user_id !== undefined;
  const before = named ? await lookUpFamilyOf(directory, account_id, token) : undefined;
  const account = await findAccount(directory, account_id);
  if (before && holderOf(before) === client.id) {
    if (user_id !== undefined && before.user_id !== user_id)
      throw refuse("invalid_grant", { message: "The refresh token is another person's." });
    narrowScope(before.scope, requested);
    checkTarget(directory, account, before.audience, target);
  }
  const now = directory.storage.now();
  const { login, person, refresh_token } = await rotateRefreshToken(
    directory,
    account,
    { client, token, dpop_jkt: dpop_jkt ?? null, facts },
    now,
  );
  await noteUsed(directory, client);
  const identity = login.scope.filter((scope) => identity_scopes.includes(scope));
  const issuing = login.client_id === client.id ? client : await findClient(directory, account_id, login.client_id);
  checkBound(issuing, dpop_jkt);
  const grant = await grantOf(directory, account, issuing, login);
  if (!grant) throw refuse("invalid_grant", { message: "The client's grant no longer exists." });
  const asked = narrowScope(login.scope, requested);
  const { auth_time: authenticated_at, amr, id: authorization_id, audience } = login;
  const second_factor = person.second_factor === 1;
  const about_person = { user_id: person.id, ...toldByScope(person, asked), second_factor };
  const subject = { ...about_person, authenticated_at, amr, authorization_id };
  const given = login.scope.filter(givenBy(grant.scope, isAccountApi(account, directory.public_url, audience)));
  const still_granted = { id: grant.id, scope: given };
  const about = { account, client: issuing, grant: still_granted, audience, subject };
  const current: Authorization = await authorizePerson(directory, about);
  const still = new Set([...identity, ...current.scope]);
  // What the grant has lost since is left out, named or not: the token is spent, and a refusal would be the end of the login.
  const scope = asked.filter((one) => still.has(one));
  noteSeenAt(directory, issuing, login.user_id);
  const authorization = { ...current, scope, userinfo_claims: login.userinfo_claims, dpop_jkt };
  const issued = { ...(await issueAccessToken(tokens, authorization, now)), refresh_token };
  if (!id_token || issuing.id !== client.id || !scope.includes("openid")) return issued;
  // OpenID Connect Core §12.2: of the same login and session, without its nonce.
  const { session_id } = login;
  const sid = session_id === null ? undefined : await spokenSid(tokens, authorization, session_id);
  const spoken = { ...authorization, sid };
  const fields = { audience: client.client_id, lifetime: ID_TOKEN_LIFETIME };
  return { ...issued, id_token: await issueIdToken(tokens, spoken, fields, now) };
}
