/**
 * `auth/mfa/*`: a code for the second half of a login that asked for another factor, and a login without a forgotten password.
 * What a factor is, and when it was shown, is decided in `authentication/mfa`.
 *
 * In: an mfa_token, or the name of whoever forgot it. Out: a code that was sent; `auth/token` and `auth/authorize` take it.
 */
import type { RequestFacts } from "../../audit/audit.ts";
import { senderOf } from "../../authentication/messages/enqueue-message.ts";
import type { OobChannel } from "../../authentication/mfa/mfa.ts";
import { type Recovery, recoverLogin } from "../../authentication/mfa/recover.ts";
import { findNamedPerson, namedBy } from "../../authentication/usernames/find-person.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { sourceOf } from "../../directory/clients/end-user-source.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { findGrant } from "../../directory/grants/find-grant.ts";
import type { Bearer } from "../../http/contract.ts";
import { checkBound } from "../dpop/check-bound.ts";
import { tokenContinuation } from "../finish-first-factor.ts";
import type { Oauth } from "../oauth.ts";

export interface Forgotten {
  readonly username: string;
  readonly audience: string;
  readonly channel: OobChannel;
  /** BCP 47; what the request asks for. */
  readonly locale: string | undefined;
  readonly end_user_ip: string | undefined;
  readonly ip: string;
}

/** A login without the password, by the client that calls. @throws 403 unauthorized_client; 429 too_many_requests. */
export async function recoverNamed(
  oauth: Oauth,
  bearer: Bearer,
  { username, audience, channel, locale, end_user_ip, ip }: Forgotten,
  facts: RequestFacts,
): Promise<Recovery> {
  const { directory } = oauth;
  const { account_id, client_uuid, subject: actor } = bearer;
  const account = await findAccount(directory, account_id);
  const client = await findClient(directory, account_id, client_uuid);
  checkBound(client);
  const { id: grant_id } = await findGrant(directory, account, client, audience, "password");
  const person = await findNamedPerson(directory, account, client, username);
  const continuation = tokenContinuation({ audience, lasting: true });
  const source = sourceOf(bearer, client, end_user_ip, ip);
  const who = { person, named: namedBy(username), source };
  const login = { account, client, grant_id, ...who, continuation, now: directory.storage.now() };
  return recoverLogin(oauth, { ...login, channel, locale, sender: senderOf(account, client), actor, facts });
}
