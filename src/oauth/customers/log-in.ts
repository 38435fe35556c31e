import { senderOf } from "../../authentication/messages/enqueue-message.ts";
import { channelsOf, preferredChannel } from "../../authentication/mfa/factors.ts";
import type { OobChannel } from "../../authentication/mfa/mfa.ts";
import { type Recovery, recoverLogin } from "../../authentication/mfa/recover.ts";
import { pendingAfter, sealLogin } from "../../authentication/mfa/require-factor.ts";
import { occasionOf } from "../../authentication/occasion.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { finishFirstFactor, tokenContinuation } from "../finish-first-factor.ts";
import type { PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";
import { NO_MFA } from "../scopes.ts";
import { type CustomerRequest, nameCustomer, proveCustomer } from "./customer.ts";

/** Tokens for a password, or the second factor where one is asked for. @throws 400 invalid_grant; 403 mfa_required; 429. */
export async function logInCustomer(oauth: Oauth, request: CustomerRequest, password: Secret): Promise<PersonTokens> {
  const { caller, audience } = request;
  const named = await nameCustomer(oauth, request);
  const asks_for_factor = !caller.bearer.scope.includes(NO_MFA);
  const subject = await proveCustomer(oauth, named, request, password, asks_for_factor);
  const { client, grant } = named;
  return finishFirstFactor(oauth, caller, { client, grant, audience, subject, lasting: true });
}

export interface BegunLogin {
  readonly mfa_token: Secret;
  /** Where a binding code goes when nobody names another channel. */
  readonly oob_channel: OobChannel | undefined;
}

/** A login whose second factor follows, for a password or PIN. @throws 400 invalid_grant; 403 access_denied; 429. */
export async function beginCustomersLogin(oauth: Oauth, request: CustomerRequest, shown: Secret): Promise<BegunLogin> {
  const { directory } = oauth;
  const named = await nameCustomer(oauth, request);
  const subject = await proveCustomer(oauth, named, request, shown, true);
  const { client, grant } = named;
  const { account, now } = request.caller;
  const continuation = () => tokenContinuation({ audience: request.audience, lasting: true });
  const pending = await pendingAfter(directory, { account, client, grant_id: grant.id, subject, continuation, now });
  if (!pending) throw refuse("access_denied", { message: "This customer has no second factor: use customers/login." });
  return {
    mfa_token: sealLogin(directory.master_keys, account.account_id, pending),
    oob_channel: preferredChannel(account, await channelsOf(directory, account, pending)),
  };
}

/**
 * A login without the password or PIN, over the account's mfa_recovery_channel first.
 *
 * @throws 400 invalid_request; 403 unauthorized_client; 429 too_many_requests.
 */
export async function recoverCustomer(oauth: Oauth, request: CustomerRequest): Promise<Recovery> {
  const { client, grant, person, named } = await nameCustomer(oauth, request);
  const { caller, audience } = request;
  const { account } = caller;
  const continuation = tokenContinuation({ audience, lasting: true });
  const login = { client, grant_id: grant.id, person, named, source: caller.source(client), continuation };
  const message = {
    channel: account.settings.mfa_recovery_channel,
    locale: caller.locale(),
    sender: senderOf(account, client),
  };
  return recoverLogin(oauth, { ...occasionOf(caller), ...login, ...message });
}
