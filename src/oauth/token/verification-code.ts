import { findCodeClient } from "../../authentication/verification/find-code-client.ts";
import { redeemCode } from "../../authentication/verification/redeem.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { findGrant } from "../../directory/grants/find-grant.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import type { Secret } from "../../secrets/secret.ts";
import { checkBound } from "../dpop/check-bound.ts";
import { type Caller, finishFirstFactor } from "../finish-first-factor.ts";
import type { PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";

export interface CodeLogin {
  readonly verification_code: Secret;
  readonly ident_type?: "email" | "phone_number" | "user_id" | undefined;
  readonly ident?: string | undefined;
  readonly login_session_id?: string | undefined;
  readonly connection?: string | undefined;
  readonly audience: string;
}

/**
 * A verification code, with whom it was sent to, for a person's token. The code says which client it was made for: its grant and
 * scopes are issued, and the bearer must be allowed to act for it.
 *
 * @throws what redeeming a code does; 403 unauthorized_client, insufficient_scope, mfa_required.
 */
export async function logInWithCode(oauth: Oauth, caller: Caller, login: CodeLogin): Promise<PersonTokens> {
  const { directory, verification } = oauth;
  const { account, bearer, facts, now } = caller;
  const { audience } = login;
  const own = await findClient(directory, account.account_id, bearer.client_uuid);
  const named = await findCodeClient(verification, { ...login, account, client: own, now });
  const client = named === own.id ? own : await findClient(directory, account.account_id, named);
  checkActsFor(bearer, client);
  checkBound(client);
  const grant = await findGrant(directory, account, client, audience, "authorization_code");
  const about = { ...login, account, client, grant_id: grant.id };
  const subject = await redeemCode(verification, { ...about, actor: bearer.subject, facts, now });
  return finishFirstFactor(oauth, caller, { client, grant, audience, subject, lasting: true });
}
