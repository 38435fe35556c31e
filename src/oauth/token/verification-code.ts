import { occasionOf } from "../../authentication/occasion.ts";
import { lookUpCodeClient } from "../../authentication/verification/find-code-client.ts";
import { type RedeemRequest, redeemCode, refuseUnknownCode } from "../../authentication/verification/redeem.ts";
import type { UserType } from "../../directory/clients/client.ts";
import { findClient, lookUpClient } from "../../directory/clients/find-client.ts";
import { findGrant, lookUpGrant } from "../../directory/grants/find-grant.ts";
import { actsFor, checkActsFor } from "../../directory/scopes.ts";
import { refuse } from "../../errors.ts";
import type { Caller } from "../caller.ts";
import { checkBound } from "../dpop/check-bound.ts";
import { finishFirstFactor } from "../finish-first-factor.ts";
import type { PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";

/** What a caller says of a code. */
export type CodeLogin = Pick<
  RedeemRequest,
  "verification_code" | "ident_type" | "ident" | "login_session_id" | "connection" | "audience"
>;

/**
 * A verification code, with whom it was sent to, for a person's token. The code says which client it was made for: its grant and
 * scopes are issued, and the bearer must be allowed to act for it.
 *
 * @throws what redeeming a code does; 403 unauthorized_client, insufficient_scope, mfa_required.
 */
export async function logInWithCode(oauth: Oauth, caller: Caller, login: CodeLogin): Promise<PersonTokens> {
  const { directory } = oauth;
  const { account, bearer } = caller;
  const { audience } = login;
  const { client, named } = await clientOf(oauth, caller, login);
  checkActsFor(bearer, client);
  checkBound(client);
  const about = { ...occasionOf(caller), ...login, client };
  const grant = named
    ? await findGrant(directory, account, client, audience, "authorization_code")
    : await lookUpGrant(directory, account, client, audience, "authorization_code");
  if (!grant) return refuseUnknownCode(directory, about);
  const subject = await redeemCode(oauth, { ...about, grant_id: grant.id });
  return finishFirstFactor(oauth, caller, { client, grant, audience, subject, lasting: true });
}

/** Whose code it is, or the bearer's own client, which a partner does not have here, where nothing names another. */
async function clientOf({ directory }: Oauth, { account, bearer, now }: Caller, login: CodeLogin) {
  const { account_id } = account;
  const own = await lookUpClient(directory, account_id, bearer.client_uuid);
  const mayActFor = (client_id: string) => actsFor(bearer, client_id);
  const isRedeemedFor = async (client_id: string, type: UserType) => {
    const client = await lookUpClient(directory, account_id, client_id);
    if (client?.settings.user_type !== type || client.settings.dpop_bound_access_tokens) return false;
    return (await lookUpGrant(directory, account, client, login.audience, "authorization_code")) !== undefined;
  };
  const named = await lookUpCodeClient(directory, { ...login, account, own, mayActFor, isRedeemedFor, now });
  const client = named === undefined ? own : await findClient(directory, account_id, named);
  if (!client) throw refuse("invalid_verification_code");
  return { client, named: named !== undefined };
}
