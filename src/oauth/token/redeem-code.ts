import type { RequestFacts } from "../../audit/audit.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { findAccount, readAccount } from "../../directory/accounts/find-account.ts";
import { actorFrom } from "../../directory/actor.ts";
import type { Client } from "../../directory/clients/client.ts";
import { checkSecretStands, type ProvenClient } from "../../directory/clients/secret.ts";
import type { Directory } from "../../directory/directory.ts";
import { isAccountApi } from "../../directory/grants/audience.ts";
import { publicGrantAt } from "../../directory/grants/change-grants.ts";
import { lookUpPublicGrant } from "../../directory/grants/find-grant.ts";
import { by_reuse, revoke } from "../../directory/revoke.ts";
import { noteSeenAt } from "../../directory/users/note-seen.ts";
import { type Refusal, refuse } from "../../errors.ts";
import type { Revocations } from "../../revocation/revocation.ts";
import { sha256Text } from "../../secrets/digest.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { type IssuedAccessToken, issueAccessToken } from "../../tokens/issue.ts";
import { type AuthorizationCode, readAuthorizationCode } from "../authorization-code.ts";
import { issuingOf } from "../authorization-for.ts";
import type { Proof } from "../dpop/dpop.ts";
import type { Oauth } from "../oauth.ts";
import { checkProvider } from "../provider-stands.ts";
import { beginFamily } from "../refresh/begin-family.ts";
import { noteUsed } from "../registration/note-used.ts";
import { countedScope, givenBy, identity_scopes } from "../scopes.ts";
import { checkTarget } from "./check-target.ts";
import { issueLoginIdToken } from "./login-id-token.ts";
import { redeemStatement, selectRedeemed } from "./store.ts";

export interface CodeRequest {
  readonly client: ProvenClient;
  readonly code: Secret;
  readonly redirect_uri?: string | undefined;
  readonly code_verifier?: string | undefined;
  /** The API that the token is to be for; undefined: the one that was authorized. */
  readonly audience?: string | undefined;
  /** Of the key that the tokens are to be bound to. */
  readonly proof?: Proof | undefined;
  /** By a device, which asks again where the answer was lost (RFC 8628 §3.5). */
  readonly polled?: true;
  readonly facts: RequestFacts;
}

export interface CodeTokens extends IssuedAccessToken {
  readonly id_token?: Secret;
  readonly refresh_token?: Secret;
}

/** A redeemed code is remembered so long, to notice when it comes again; milliseconds. */
const MEMORY = 3_600_000;
/** A device that asks again before its next turn asks after an answer that was lost; milliseconds. */
const GRACE = 4_000;

/**
 * Redeems an authorization code, once (RFC 6749 §4.1.3, RFC 7636 §4.6). A second use, or use by another client, revokes what
 * the first one issued (RFC 9700 §4.5.3), save where a device asks again at once. What was taken from the client's grant since is left out.
 *
 * @throws 400 invalid_grant, invalid_target; 401 invalid_client when the client's secret ended meanwhile; 503 when nobody
 *   knows whether the authorization was revoked.
 */
export async function redeemAuthorizationCode(
  { directory, tokens }: Pick<Oauth, "directory" | "tokens">,
  request: CodeRequest,
): Promise<CodeTokens> {
  const { client, code, audience, proof, polled: by_device } = request;
  const { account_id } = client;
  const content = readAuthorizationCode(directory.master_keys, account_id, code);
  const now = directory.storage.now();
  await checkPresented(directory, content, request, now);
  const account = await findAccount(directory, account_id);
  checkTarget(directory, account, content.authorization.audience, audience);
  checkUnrevoked(directory.revocations, account_id, content.authorization);
  await proof?.spend();
  const held = await spend(directory, content, request, now);
  const { provider } = content;
  await checkProvider(directory, account, client, { audience: content.authorization.audience, provider });
  await noteUsed(directory, client);
  const scope = await stillGiven(directory, account, content, held);
  const authorization = {
    ...content.authorization,
    scope,
    issuing: issuingOf(directory, account),
    by_device,
    dpop_jkt: proof?.jkt,
  };
  const issued = await issueAccessToken(tokens, authorization, now);
  const { openid, session_id = authorization.sid, nonce, acr, claims } = content;
  const surface = by_device ? ("device" as const) : ("oauth" as const);
  const begun = { ...authorization, ...(openid ? { session_id } : {}), provider, surface };
  const lasting = lasts(client, scope)
    ? { refresh_token: await beginFamily(directory, account, client, begun, client.id, now) }
    : {};
  noteSeenAt(directory, client, authorization.subject.id);
  if (!openid) return { ...issued, ...lasting };
  const said = { session_id, nonce, acr, claims };
  return { ...issued, ...lasting, id_token: await issueLoginIdToken(tokens, client, authorization, said, now) };
}

/** That the code is this client's, bound to what it shows, and not over. @throws 400 invalid_grant. */
async function checkPresented(
  directory: Directory,
  content: AuthorizationCode,
  request: CodeRequest,
  now: number,
): Promise<void> {
  const { client, redirect_uri, code_verifier, proof } = request;
  const { client_uuid, dpop_jkt: promised } = content.authorization;
  if (client_uuid !== client.id) return endStolen(directory, content, request);
  checkBinding(content, redirect_uri, code_verifier);
  if (promised !== undefined && promised !== proof?.jkt) throw invalidGrant("The code is bound to another DPoP key.");
  if (content.expires_at > now) return;
  if (await selectRedeemed(directory.storage.read, client.account_id, content.id))
    return endStolen(directory, content, request);
  throw invalidGrant("The authorization code has expired.");
}

/**
 * Notes that the code was redeemed, once, while everybody concerned lives.
 *
 * @returns what the client's grant holds now: JSON, or null where none is needed.
 * @throws 400 invalid_grant; 401 invalid_client when the client's secret ended meanwhile.
 */
async function spend(
  directory: Directory,
  content: AuthorizationCode,
  request: CodeRequest,
  now: number,
): Promise<string | null> {
  const { client } = request;
  const { sid, subject, grant_id = "", began_at = now } = content.authorization;
  const ids = {
    account_id: client.account_id,
    code_id: content.id,
    sid,
    client_id: client.id,
    secret_id: client.secret_id,
    grant_id,
    user_id: subject.id,
    user_type: client.settings.user_type,
  };
  const times = { began_at: instant(began_at), now: instant(now), expires_at: instant(now + MEMORY) };
  const { alive, redeemed, scope } = await directory.storage.hot(redeemStatement, { ...ids, ...times });
  if (!alive) await checkSecretStands(directory, client);
  if (!alive) throw invalidGrant("The client, its secret, its grant, a user of its type or the login is gone.");
  if (redeemed) return scope;
  const before = request.polled && (await selectRedeemed(directory.storage.read, client.account_id, content.id));
  if (before && now - Date.parse(before) <= GRACE) throw invalidGrant("The device code was used before.");
  return endStolen(directory, content, request);
}

/** @throws 400 invalid_grant once everything that the code led to is revoked. */
async function endStolen(
  directory: Directory,
  { authorization: { sid } }: AuthorizationCode,
  { client: { account_id, id }, facts }: CodeRequest,
): Promise<never> {
  await revoke(directory, { account_id, entity: sid, actor: actorFrom(id, facts), facts: by_reuse });
  throw invalidGrant("The authorization code was used before, or belongs to another client.");
}

/**
 * What was authorized, without what was taken since from the client's grant or `public_client_grants`; where the audience
 * is a name of the account API by now, what counts there. `held`: JSON.
 */
async function stillGiven(
  directory: Directory,
  account: Account,
  { authorization: { audience, scope: authorized, holds = [] } }: AuthorizationCode,
  held: string | null,
): Promise<readonly string[]> {
  const at_account_api = isAccountApi(account, directory.public_url, audience);
  const scope = at_account_api ? countedScope(authorized, holds) : authorized;
  const leftBy = (gives: readonly string[]) => {
    const given = givenBy(gives, at_account_api);
    return scope.filter((one) => identity_scopes.includes(one) || given(one));
  };
  if (held !== null) return leftBy(JSON.parse(held) as string[]);
  if (!holds.includes(publicGrantAt(audience))) return scope;
  const known = leftBy((await lookUpPublicGrant(directory, account.account_id, audience))?.scope ?? []);
  if (known.length === scope.length) return known;
  // Another process may have given a moment ago what is not known here.
  return leftBy((await lookUpPublicGrant(directory, account.account_id, audience, readAccount))?.scope ?? []);
}

/** The client may refresh, and the person agreed to it or the account says it need not be asked. */
function lasts({ settings }: Client, scope: readonly string[]): boolean {
  const { grant_types, refresh_without_offline_access } = settings;
  return grant_types.includes("refresh_token") && (scope.includes("offline_access") || refresh_without_offline_access);
}

/** @throws 400 invalid_grant when the authorization was ended; 503 when nobody knows. */
function checkUnrevoked(
  revocations: Revocations,
  account_id: string,
  { sid, subject, began_at }: AuthorizationCode["authorization"],
): void {
  const login = began_at === undefined ? undefined : { subject: subject.id, sid, began_at };
  try {
    revocations.checkAlive(account_id, [`sid:${sid}`], login);
  } catch (error) {
    if ((error as Refusal).code !== "invalid_token") throw error;
    throw invalidGrant("The authorization was revoked.");
  }
}

/**
 * Pure. Whoever proves possession by PKCE need not repeat redirect_uri, which OAuth 2.1 no longer knows here
 * (draft-ietf-oauth-v2-1 §10.2). @throws 400 invalid_grant.
 */
function checkBinding(
  content: AuthorizationCode,
  redirect_uri: string | undefined,
  code_verifier: string | undefined,
): void {
  const { redirect_uri_named, code_challenge } = content;
  const required = redirect_uri_named && code_challenge === undefined;
  if (redirect_uri === undefined ? required : redirect_uri !== content.redirect_uri) {
    throw invalidGrant("redirect_uri is not the one of the authorization request.");
  }
  if (code_challenge === undefined) {
    if (code_verifier !== undefined)
      throw invalidGrant("code_verifier was sent, but the authorization had no code_challenge.");
    return;
  }
  const wellFormed = /^[A-Za-z0-9._~-]{43,128}$/.test(code_verifier ?? "");
  if (!wellFormed || sha256Text(code_verifier ?? "") !== code_challenge)
    throw invalidGrant("code_verifier does not match the code_challenge.");
}

function invalidGrant(message: string): Refusal {
  return refuse("invalid_grant", { message });
}
