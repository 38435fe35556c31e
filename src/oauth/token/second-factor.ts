import type { PresentedFactor } from "../../authentication/mfa/finish.ts";
import { openLogin } from "../../authentication/mfa/open-login.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { lookUpGrantOf } from "../../directory/grants/find-grant.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import type { Caller } from "../caller.ts";
import { checkBound } from "../dpop/check-bound.ts";
import { finishLogin, readContinuation } from "../finish-first-factor.ts";
import { finishSecondFactor } from "../finish-second-factor.ts";
import type { PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";

/**
 * A second factor for the token that the first one asked for. A login that began at auth/authorize ends there.
 *
 * @throws 400 invalid_grant; 403 insufficient_scope, and mfa_required after the first channel of a recovery; 429
 *   too_many_attempts.
 */
export async function finishWithFactor(
  oauth: Oauth,
  caller: Caller,
  mfa_token: Secret,
  presented: PresentedFactor,
): Promise<PersonTokens> {
  const { directory } = oauth;
  const { account, bearer, now } = caller;
  const pending = await openLogin(directory, account.account_id, mfa_token, now);
  checkActsFor(bearer, { id: pending.client_id });
  const { audience, lasting } = readContinuation(pending);
  const client = await findClient(directory, account.account_id, pending.client_id);
  checkBound(client);
  const subject = await finishSecondFactor(directory, caller, client, pending, presented);
  const grant = await lookUpGrantOf(directory, account, client, { grant_id: pending.grant_id, audience });
  if (!grant)
    throw refuse("unauthorized_client", { message: "The client's grant for this audience no longer exists." });
  return finishLogin(oauth, caller, { client, grant, audience, subject, lasting });
}
