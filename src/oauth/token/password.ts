import { occasionOf } from "../../authentication/occasion.ts";
import { provePassword } from "../../authentication/passwords/prove-password.ts";
import { findNamedPerson } from "../../authentication/usernames/find-person.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { findGrant } from "../../directory/grants/find-grant.ts";
import type { Secret } from "../../secrets/secret.ts";
import type { Caller } from "../caller.ts";
import { checkBound } from "../dpop/check-bound.ts";
import { finishFirstFactor } from "../finish-first-factor.ts";
import type { PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";
import { NO_MFA } from "../scopes.ts";

export interface UsernameLogin {
  readonly username: string;
  readonly password: Secret;
  readonly audience: string;
}

/**
 * A user name and a password for a person's token, under a grant of type password or any.
 *
 * @throws 400 invalid_grant; 403 unauthorized_client, mfa_required; 429 too_many_attempts.
 */
export async function logInWithPassword(oauth: Oauth, caller: Caller, login: UsernameLogin): Promise<PersonTokens> {
  const { directory } = oauth;
  const { account, bearer } = caller;
  const { username, password, audience } = login;
  const client = await findClient(directory, account.account_id, bearer.client_uuid);
  checkBound(client);
  const grant = await findGrant(directory, account, client, audience, "password");
  const person = await findNamedPerson(directory, account, client, username);
  const subject = await provePassword(directory, {
    ...occasionOf(caller),
    client_id: client.id,
    grant_id: grant.id,
    person,
    password,
    asks_for_factor: !bearer.scope.includes(NO_MFA),
    pin: false,
    source: caller.source(client),
  });
  return finishFirstFactor(oauth, caller, { client, grant, audience, subject, lasting: true });
}
