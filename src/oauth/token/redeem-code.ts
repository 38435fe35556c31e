/**
 * `oauth/token` for an authorization code (RFC 6749 §4.1.3): a code is redeemed once. A second use, or use by another
 * client, revokes what the first one issued (RFC 9700 §4.5.3), save where a device asks again at once.
 *
 * In: a client that has shown who it is, and the code. Out: tokens. Before the code is spent it is known to be bound to
 * what its client shows (RFC 7636 §4.6, RFC 9449 §10) and meant for the API that is asked for (RFC 8707 §2.2), and its
 * login not to be ended; the statement that spends it looks whether everybody concerned lives. The tokens say what is
 * still given.
 */
import type { RequestFacts } from "../../audit/audit.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { ProvenClient } from "../../directory/clients/secret.ts";
import { noteSeenAt } from "../../directory/users/note-seen.ts";
import type { Secret } from "../../secrets/secret.ts";
import { type IssuedAccessToken, issueAccessToken } from "../../tokens/issue.ts";
import { type AuthorizationCode, readAuthorizationCode } from "../authorization-code.ts";
import { issuingOf } from "../authorization-for.ts";
import type { Proof } from "../dpop/dpop.ts";
import type { Oauth } from "../oauth.ts";
import { checkProvider } from "../provider-stands.ts";
import { beginFamily } from "../refresh/begin-family.ts";
import { noteUsed } from "../registration/note-used.ts";
import { OFFLINE } from "../scopes.ts";
import { checkPresented, checkUnrevoked } from "./check-presented.ts";
import { checkTarget } from "./check-target.ts";
import { issueLoginIdToken } from "./login-id-token.ts";
import { spendCode } from "./spend-code.ts";
import { stillGiven } from "./still-given.ts";

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

/**
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
  const held = await spendCode(directory, content, request, now);
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
  const refreshing = lasts(client, content)
    ? { refresh_token: await beginFamily(directory, account, client, begun, client.id, now) }
    : {};
  noteSeenAt(directory, client, authorization.subject.id);
  if (!openid) return { ...issued, ...refreshing };
  const said = { session_id, nonce, acr, claims };
  return { ...issued, ...refreshing, id_token: await issueLoginIdToken(tokens, client, authorization, said, now) };
}

/** The client may refresh, and the person agreed to it or the account says it need not be asked. */
function lasts({ settings }: Client, { lasting, authorization: { scope } }: AuthorizationCode): boolean {
  const { grant_types, refresh_without_offline_access } = settings;
  const asked = lasting || scope.includes(OFFLINE);
  return grant_types.includes("refresh_token") && (asked || refresh_without_offline_access);
}
