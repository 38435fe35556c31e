import type { RequestFacts } from "../../audit/audit.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { type Client, rotatesTokens } from "../../directory/clients/client.ts";
import { findClient, lookUpClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { isAccountApi } from "../../directory/grants/audience.ts";
import { judgeClient } from "../../directory/judge.ts";
import { noteSeenAt } from "../../directory/users/note-seen.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { epoch } from "../../storage/storage.ts";
import type { Authorization } from "../../tokens/authorization.ts";
import { issueAccessToken } from "../../tokens/issue.ts";
import { authorizePerson } from "../authorization-for.ts";
import { checkBound } from "../dpop/check-bound.ts";
import type { Proof } from "../dpop/dpop.ts";
import type { PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";
import { holderOf, type LoginSurface } from "../refresh/family.ts";
import { lookUpFamilyOf } from "../refresh/find-family.ts";
import { rotateRefreshToken, unspend } from "../refresh/rotate.ts";
import type { Continued } from "../refresh/rotate-statement.ts";
import { noteUsed } from "../registration/note-used.ts";
import { audienceNow, givenBy, identity_scopes, narrowScope, REFRESH_SCOPE } from "../scopes.ts";
import { toldByScope } from "../userinfo/claims-about.ts";
import { checkTarget } from "./check-target.ts";
import { beganAt, checkGoesOn, type MayRefresh, mayRefresh } from "./login-goes-on.ts";
import { issueLoginIdToken } from "./login-id-token.ts";

export interface Wanted {
  /** Where it is asked; absent: at the account API, whose clients show an access token alone, and get no ID token. */
  readonly surface?: LoginSurface;
  /** Space-separated; absent: all that the login had. */
  readonly scope?: string | undefined;
  /** The API that the token is to be for; absent: the login's. */
  readonly audience?: string | undefined;
  /** Whose token it has to be, where a person asks with their own; anybody's of the client else. */
  readonly user_id?: string | undefined;
  /** Of the key that the tokens are to be bound to. */
  readonly proof?: Proof | undefined;
}

export interface RefreshedTokens extends PersonTokens {
  readonly id_token?: Secret;
}

/**
 * A new access token and the next refresh token of a login, which may be the same one, for the client that holds it;
 * what the token says of its client is whose login it is. Scopes are what the login had, the grant still gives and the
 * person still holds. An ID token comes at oauth/token, with `openid` alone, to the client whose login it is: signing it is
 * the dearest part.
 *
 * @throws 400 invalid_grant; 400 invalid_scope for more than the login had; 400 invalid_target for another API; 403
 *   unauthorized_client.
 */
export async function refreshLogin(
  { directory, tokens }: Oauth,
  client: Client & { readonly secret_id?: string },
  token: Secret,
  facts: RequestFacts,
  wanted: Wanted = {},
): Promise<RefreshedTokens> {
  const { proof } = wanted;
  checkBound(client, proof?.jkt);
  const account = await findAccount(directory, client.account_id);
  const may = await judgeClient(directory, client, (current) => checkAsked(directory, account, current, token, wanted));
  const now = directory.storage.now();
  // A person's token shows nothing of the client: whoever stole both would renew them for ever, and nobody could tell.
  const rotates = wanted.user_id !== undefined || rotatesTokens(client.settings);
  const shown = { client, token, others: may.others, rotates, proof, facts };
  const rotated = await rotateRefreshToken(directory, account, shown, now);
  await noteUsed(directory, client);
  const { login, refresh_token, spent } = rotated;
  const { issuing, authorization } = await continueLogin(directory, client, rotated, wanted).catch(async (refusal) => {
    if (spent) await unspend(directory, spent);
    throw refusal;
  });
  noteSeenAt(directory, issuing, login.user_id);
  const issued = { ...(await issueAccessToken(tokens, authorization, now)), refresh_token };
  if (wanted.surface !== "oauth" || issuing.id !== client.id || !authorization.scope.includes("openid")) return issued;
  // OpenID Connect Core §12.2: of the same login and session, without its nonce.
  const said = { session_id: login.session_id };
  return { ...issued, id_token: await issueLoginIdToken(tokens, client, authorization, said, now) };
}

/**
 * What is refused before the token is spent, or answered once more: whoever asked for too much asks again with it.
 *
 * @returns what the client may refresh.
 * @throws 400 invalid_grant, invalid_scope, invalid_target; 403 unauthorized_client.
 */
async function checkAsked(
  directory: Directory,
  account: Account,
  client: Client,
  token: Secret,
  wanted: Wanted,
): Promise<MayRefresh> {
  const { surface, scope, audience, user_id, proof } = wanted;
  const may = await mayRefresh(directory, account, client);
  if (asksLittle(wanted, may)) return may;
  const login = await lookUpFamilyOf(directory, account.account_id, token);
  // The rotation says what is wrong with it.
  if (!login || holderOf(login) !== client.id) return may;
  // Its client authenticates at each refresh (RFC 6749 §6), and may do so as its settings say.
  if (surface !== "oauth" && (await beganAt(directory, account, client, login)) !== "account")
    throw refuse("unauthorized_client", {
      message: "The login began at oauth/token: refresh it there, where the client shows who it is.",
    });
  if (!may.own)
    throw refuse("unauthorized_client", {
      message: `The client's grant for the account API gives no ${REFRESH_SCOPE} any more, nor do its grant_types name refresh_token.`,
    });
  if (user_id !== undefined && login.user_id !== user_id)
    throw refuse("invalid_grant", { message: "The refresh token is another person's." });
  narrowScope(login.scope, scope);
  checkTarget(directory, account, audienceNow(directory.public_url, account, login.audience), audience);
  if (login.client_id === client.id) return may;
  // The client whose login it is may take bound tokens alone by now.
  const issuing = await lookUpClient(directory, account.account_id, login.client_id);
  if (issuing) checkBound(issuing, proof?.jkt);
  return may;
}

/** Nothing that could be refused: most of what oauth/token is asked for, which looks at the login once only. */
const asksLittle = ({ surface, scope, audience, proof }: Wanted, { others }: MayRefresh): boolean =>
  surface === "oauth" && scope === undefined && audience === undefined && (proof !== undefined || !others);

/** The token is spent by now, so what another process has just put back must not be refused here. */
async function continueLogin(
  directory: Directory,
  client: Client,
  continued: Continued,
  wanted: Wanted,
): Promise<{ readonly issuing: Client; readonly authorization: Authorization }> {
  const { account_id } = client;
  const { client_id } = continued.login;
  const found = client_id === client.id ? client : await findClient(directory, account_id, client_id);
  return judgeClient(directory, found, async (issuing) => {
    checkBound(issuing, wanted.proof?.jkt);
    const account = await findAccount(directory, account_id);
    return { issuing, authorization: await authorizationNow(directory, account, issuing, continued, wanted) };
  });
}

/**
 * What the login is by now, of what was asked for. What the grant has lost since is left out, named or not: a client that
 * asks for it each time would lose the rest, too.
 *
 * @throws 400 invalid_grant.
 */
async function authorizationNow(
  directory: Directory,
  account: Account,
  client: Client,
  { login, person }: Continued,
  { scope: requested, proof }: Wanted,
): Promise<Authorization> {
  const grant = await checkGoesOn(directory, account, client, login, person);
  const { id: authorization_id, auth_time: authenticated_at, amr, userinfo_claims } = login;
  const audience = audienceNow(directory.public_url, account, login.audience);
  const asked = narrowScope(login.scope, requested);
  const second_factor = person.second_factor === 1;
  const about_person = { user_id: person.id, ...toldByScope(person, asked), second_factor };
  // As the login did: then its person's logins end together with it, whenever it was refreshed.
  const began_at = epoch(login.created_at);
  const by_device = login.surface === "device" ? (true as const) : undefined;
  const subject = { ...about_person, authenticated_at, amr, authorization_id, began_at, by_device };
  const given = login.scope.filter(givenBy(grant.scope, isAccountApi(account, directory.public_url, audience)));
  const about = { account, client, grant: { id: grant.id, scope: given }, audience, subject };
  const current = await authorizePerson(directory, about);
  const still = new Set([...identity_scopes, ...current.scope]);
  return { ...current, scope: asked.filter((one) => still.has(one)), userinfo_claims, dpop_jkt: proof?.jkt };
}
