/**
 * `auth/mfa/*`: a code for the second half of a login that asked for another factor, and a login without a forgotten password.
 * What a factor is, and when it was shown, is decided in `authentication/mfa`.
 *
 * In: an mfa_token, or the name of whoever forgot it. Out: a code that was sent; `auth/token` and `auth/authorize` take it.
 */
import { senderOf } from "../../authentication/messages/enqueue-message.ts";
import type { OobChannel } from "../../authentication/mfa/mfa.ts";
import { type Recovery, recoverLogin } from "../../authentication/mfa/recover.ts";
import { occasionOf } from "../../authentication/occasion.ts";
import { findNamedPerson, namedBy } from "../../authentication/usernames/find-person.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { findGrant } from "../../directory/grants/find-grant.ts";
import type { Caller } from "../caller.ts";
import { checkBound } from "../dpop/check-bound.ts";
import { tokenContinuation } from "../finish-first-factor.ts";
import type { Oauth } from "../oauth.ts";

export interface Forgotten {
  readonly username: string;
  readonly audience: string;
  readonly channel: OobChannel;
}

/** A login without the password, by the client that calls. @throws 403 unauthorized_client; 429 too_many_requests. */
export async function recoverNamed(
  oauth: Oauth,
  caller: Caller,
  { username, audience, channel }: Forgotten,
): Promise<Recovery> {
  const { directory } = oauth;
  const { account, bearer } = caller;
  const client = await findClient(directory, account.account_id, bearer.client_uuid);
  checkBound(client);
  const { id: grant_id } = await findGrant(directory, account, client, audience, "password");
  const person = await findNamedPerson(directory, account, client, username);
  const continuation = tokenContinuation({ audience, lasting: true });
  const who = { person, named: namedBy(username), source: caller.source(client) };
  const login = { client, grant_id, ...who, continuation };
  const message = { channel, locale: caller.locale(), sender: senderOf(account, client) };
  return recoverLogin(oauth, { ...occasionOf(caller), ...login, ...message });
}
