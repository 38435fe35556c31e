import { randomUUID } from "node:crypto";
import { recordDeed } from "../../audit/audit.ts";
import { deedOf } from "../../authentication/occasion.ts";
import type { AuthenticatedSubject } from "../../authentication/subject.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { type Concerned, checkAlive } from "../../directory/check-alive.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { isAccountApi } from "../../directory/grants/audience.ts";
import { lookUpGrantOf } from "../../directory/grants/find-grant.ts";
import { judgeClient } from "../../directory/judge.ts";
import { type AccountUser, holdingOfProvider, holdingsOf } from "../../directory/users/account-user.ts";
import { lookUpAccountUser } from "../../directory/users/find-account-user.ts";
import { noteSeen } from "../../directory/users/note-seen.ts";
import { refuse } from "../../errors.ts";
import type { Authorization } from "../../tokens/authorization.ts";
import { issueAccessToken } from "../../tokens/issue.ts";
import { acrOf, issuingOf } from "../authorization-for.ts";
import type { Caller } from "../caller.ts";
import { checkBound, checkUnbound } from "../dpop/check-bound.ts";
import { issueForPerson, type PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";
import { givenBy } from "../scopes.ts";

/** A person's own token is exchanged for another no longer than this after they logged in; seconds. */
const LONGEST = 86_400;

interface Exchange {
  readonly user: AccountUser;
  /** As it was asked for: a name of the account API. */
  readonly audience: string;
  /** Seconds since the epoch. */
  readonly auth_time: number;
  /** RFC 8176 */
  readonly amr: readonly string[];
}

/**
 * An account user's token for their account, out of their own token or an ID token of the account's own provider. A
 * token that was narrowed gives no wider one.
 *
 * @throws 400 invalid_target for an audience that is not the account API; 401 invalid_token; 403 insufficient_scope; 403
 *   unauthorized_client when client, grant or user died meanwhile, or tokens of the client or the caller are bound to a key.
 */
export async function exchangeAccountUser(oauth: Oauth, caller: Caller, wanted?: string): Promise<PersonTokens> {
  const { directory } = oauth;
  const { account, bearer, now } = caller;
  const audience = wanted ?? issuerOf(directory.public_url, account.account_id);
  if (!isAccountApi(account, directory.public_url, audience)) {
    throw refuse("invalid_target", { message: "An account user's token is for the account API alone." });
  }
  const user = await lookUpAccountUser(directory, account.account_id, { id: bearer.subject });
  if (!user) throw refuse("insufficient_scope", { message: "This needs an account user's token." });
  const { auth_time = 0, amr = [] } = bearer;
  if (auth_time + LONGEST < Math.floor(now / 1000)) {
    throw refuse("invalid_token", { message: "The login is too old to be exchanged: log in again." });
  }
  const exchange = bearer.external ? exchangeForeign : exchangeOwn;
  return exchange(oauth, caller, { user, audience, auth_time, amr });
}

/** A token of ours gives one of the same login, by the client and the grant that it came by. */
async function exchangeOwn(
  oauth: Oauth,
  caller: Caller,
  { user, audience, auth_time, amr }: Exchange,
): Promise<PersonTokens> {
  const { directory } = oauth;
  const { account, bearer, now } = caller;
  const known = await findClient(directory, account.account_id, bearer.client_uuid);
  const { client, grant } = await judgeClient(directory, known, async (client) => {
    checkBound(client);
    checkUnbound(bearer);
    const grant = await lookUpGrantOf(directory, account, client, { grant_id: bearer.grant_id ?? "", audience });
    if (!client.settings.first_party || !grant) throw refuse("insufficient_scope");
    return { client, grant };
  });
  await recordExchange(directory, caller, { user_id: user.id, client_id: client.id, grant_id: grant.id }, bearer.sid);
  const subject: AuthenticatedSubject = {
    user_id: user.id,
    authenticated_at: auth_time * 1000,
    amr,
    second_factor: user.second_factor === 1,
    authorization_id: bearer.sid,
    began_at: bearer.began_at,
    by_device: bearer.by_device,
  };
  const within = { id: grant.id, scope: bearer.scope.filter(givenBy(grant.scope, true)) };
  return issueForPerson(oauth, { account, client, grant: within, audience, subject }, now);
}

/** An ID token of the account's own provider begins a login of its own, with all that the person holds. */
async function exchangeForeign(
  { directory, tokens }: Oauth,
  caller: Caller,
  { user, audience, auth_time, amr }: Exchange,
): Promise<PersonTokens> {
  const { account, now } = caller;
  const sid = randomUUID();
  await recordExchange(directory, caller, { user_id: user.id, client_id: "", grant_id: "" }, sid);
  noteSeen(directory, account.account_id, user.id);
  const { scope, holds } = holdingsOf(user);
  const { jwks } = account.settings;
  const authorization: Authorization = {
    issuing: issuingOf(directory, account),
    sid,
    subject: { type: "user", id: user.id, auth_time, amr, acr: acrOf(amr) },
    // Nobody's client: the token is the person's own.
    client_id: user.id,
    client_uuid: user.id,
    holds: jwks ? [...holds, holdingOfProvider(jwks)] : holds,
    audience,
    scope: [...new Set(["openid", "profile", "email", ...scope])],
    id_token_alg: "RS256",
  };
  return issueAccessToken(tokens, authorization, now);
}

/** @throws 403 unauthorized_client when client, grant or user died meanwhile. */
async function recordExchange(
  { storage }: Directory,
  caller: Caller,
  concerned: Omit<Concerned, "account_id">,
  sid: string,
): Promise<void> {
  const { account_id } = caller.account;
  const { user_id } = concerned;
  const exchanged = { action: "auth.token", entity: user_id, facts: { grant_type: "account_user", sid } };
  await storage.write(async (tx) => {
    await checkAlive(tx.db, { account_id, ...concerned });
    await recordDeed(tx, deedOf({ ...caller, actor: user_id }, exchanged));
  });
}
