import { senderOf } from "../../authentication/messages/enqueue-message.ts";
import { challengeFactor } from "../../authentication/mfa/challenge.ts";
import type { OobChannel } from "../../authentication/mfa/mfa.ts";
import { openLogin } from "../../authentication/mfa/open-login.ts";
import { occasionOf } from "../../authentication/occasion.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import type { Secret } from "../../secrets/secret.ts";
import type { Caller } from "../caller.ts";
import type { Oauth } from "../oauth.ts";

/**
 * A binding code for the second half of a login, by a client that acts for the login's.
 *
 * @returns the oob_code that it goes with.
 * @throws 400 invalid_grant; 403 insufficient_scope; what `challengeFactor` does.
 */
export async function challengeLogin(
  oauth: Oauth,
  caller: Caller,
  mfa_token: Secret,
  channel: OobChannel | undefined,
): Promise<Secret> {
  const { directory } = oauth;
  const { account, bearer, now } = caller;
  const pending = await openLogin(directory, account.account_id, mfa_token, now);
  const client = await findClient(directory, account.account_id, pending.client_id);
  checkActsFor(bearer, client, ["write:accounts:/auth/mfa"]);
  const message = { channel, locale: caller.locale(), sender: senderOf(account, client) };
  return challengeFactor(oauth, { ...occasionOf(caller), ...message, pending, source: caller.source(client) });
}
