import { randomUUID } from "node:crypto";
import { recordDeed } from "../../audit/audit.ts";
import type { AuthenticatedSubject } from "../../authentication/subject.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { actorFrom } from "../../directory/actor.ts";
import { checkAlive } from "../../directory/check-alive.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { isAccountApi } from "../../directory/grants/audience.ts";
import { pickGrantById } from "../../directory/grants/find-grant.ts";
import { holdingOfProvider, holdingsOf } from "../../directory/users/account-user.ts";
import { lookUpAccountUser } from "../../directory/users/find-account-user.ts";
import { noteSeen } from "../../directory/users/note-seen.ts";
import { refuse } from "../../errors.ts";
import { instant } from "../../storage/storage.ts";
import { issueAccessToken } from "../../tokens/issue.ts";
import { acrOf, issuingOf } from "../authorization-for.ts";
import type { Caller } from "../caller.ts";
import { checkBound } from "../dpop/check-bound.ts";
import { issueForPerson, type PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";
import { givenBy } from "../scopes.ts";

/** A person's own token is exchanged for another no longer than this after they logged in; seconds. */
const LONGEST = 86_400;

/**
 * An account user's token for their account, out of their own token or an ID token of the account's own provider. A
 * token that was narrowed gives no wider one.
 *
 * @throws 400 invalid_target for an audience that is not the account API; 401 invalid_token; 403 insufficient_scope; 403
 *   unauthorized_client when client, grant or user died meanwhile, or the client's tokens are bound to a key.
 */
export async function exchangeAccountUser(oauth: Oauth, caller: Caller, audience?: string): Promise<PersonTokens> {
  const { directory, tokens } = oauth;
  const { account, bearer, facts, now } = caller;
  const { account_id } = account;
  const wanted = audience ?? issuerOf(directory.public_url, account_id);
  if (!isAccountApi(account, directory.public_url, wanted)) {
    throw refuse("invalid_target", { message: "An account user's token is for the account API alone." });
  }
  const user = await lookUpAccountUser(directory, account_id, { id: bearer.subject });
  if (!user) throw refuse("insufficient_scope", { message: "This needs an account user's token." });
  const seconds = Math.floor(now / 1000);
  const { auth_time = 0 } = bearer;
  if (auth_time + LONGEST < seconds) {
    throw refuse("invalid_token", { message: "The login is too old to be exchanged: log in again." });
  }
  const external = bearer.external === true;
  const authorization_id = external ? randomUUID() : bearer.sid;
  const means = external ? undefined : await findMeans(oauth, caller);
  const about = { grant_type: "account_user", sid: authorization_id };
  const deed = { account_id, action: "auth.token", entity: user.id, now: instant(now), facts: about };
  await directory.storage.write(async (tx) => {
    const { client, grant } = means ?? {};
    await checkAlive(tx.db, { account_id, client_id: client?.id ?? "", grant_id: grant?.id ?? "", user_id: user.id });
    await recordDeed(tx, { ...deed, actor: actorFrom(user.id, facts) });
  });
  const amr = bearer.amr ?? [];
  if (means) {
    const { client, grant } = means;
    const subject: AuthenticatedSubject = {
      user_id: user.id,
      authenticated_at: auth_time * 1000,
      amr,
      second_factor: user.second_factor === 1,
      authorization_id,
      began_at: bearer.began_at,
    };
    const within = { id: grant.id, scope: bearer.scope.filter(givenBy(grant.scope, true)) };
    return issueForPerson(oauth, { account, client, grant: within, audience: wanted, subject }, now);
  }
  noteSeen(directory, account_id, user.id);
  const { scope, holds } = holdingsOf(user);
  const { jwks } = account.settings;
  const subject = { type: "user", id: user.id, auth_time, amr, acr: acrOf(amr) } as const;
  return issueAccessToken(
    tokens,
    {
      issuing: issuingOf(directory, account),
      sid: authorization_id,
      subject,
      // Nobody's client: the token is the person's own.
      client_id: user.id,
      client_uuid: user.id,
      holds: external && jwks ? [...holds, holdingOfProvider(jwks)] : holds,
      audience: wanted,
      scope: [...new Set(["openid", "profile", "email", ...scope])],
      id_token_alg: "RS256",
    },
    now,
  );
}

/** By which client, and under which of its grants, a person comes with a token of ours. */
async function findMeans({ directory }: Oauth, { account, bearer }: Caller) {
  const client = await findClient(directory, account.account_id, bearer.client_uuid);
  checkBound(client);
  const grant = await pickGrantById(directory, client, bearer.grant_id);
  if (!client.settings.first_party || !grant) throw refuse("insufficient_scope");
  return { client, grant };
}
