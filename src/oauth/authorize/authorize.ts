/**
 * `POST auth/authorize`: a client that holds a bearer token exchanges a person's verification code for a redirect to one of
 * the client's callbacks. This file is the conductor: it opens each door once, in the order in which the checks are
 * promised, and nothing it calls calls it back.
 *
 * In: the caller and the request's parameters. Out: the address to redirect to, or a refusal; no refusal is ever
 * redirected. Redeeming the code is the only step that spends anything, and for a known person with a mailed code the
 * request's only commit. Where a second factor is asked for, the same endpoint finishes with it, in two commits.
 *
 * RFC 6749 §4.1–4.2, OpenID Connect Core §2, RFC 7636 §4.3, RFC 9207, RFC 9700 §2.1.
 */
import { occasionOf } from "../../authentication/occasion.ts";
import type { AuthenticatedSubject } from "../../authentication/subject.ts";
import { redeemCode } from "../../authentication/verification/redeem.ts";
import { matchRedirectUri } from "../../directory/clients/callback.ts";
import type { Client } from "../../directory/clients/client.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { findConnection } from "../../directory/connections/connection.ts";
import type { Directory } from "../../directory/directory.ts";
import { findGrant } from "../../directory/grants/find-grant.ts";
import type { Grant } from "../../directory/grants/grant.ts";
import { judgeClient } from "../../directory/judge.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import { type Secret, secret } from "../../secrets/secret.ts";
import { authorizePerson } from "../authorization-for.ts";
import type { Caller } from "../caller.ts";
import { presentedFactor } from "../factor-schema.ts";
import { askSecondFactor } from "../finish-first-factor.ts";
import { finishSecondFactor } from "../finish-second-factor.ts";
import type { Oauth } from "../oauth.ts";
import { begunBy, continuationOf, resume } from "./after-mfa.ts";
import { checkResponseType } from "./check-response-type.ts";
import { issueResult } from "./issue-result.ts";
import { authorizationResponse } from "./response.ts";
import type { AuthorizeRequest } from "./schema.ts";

/** We know who asks, and where the answer may go. */
interface IdentifiedRequest {
  readonly request: AuthorizeRequest;
  readonly client: Client;
  readonly redirect_uri: string;
}

/** We know that the client may ask for this. */
export interface PermittedRequest extends IdentifiedRequest {
  readonly grant: Grant;
}

/**
 * @throws 400 invalid_request, redirect_uri_required, redirect_uri_mismatch, unsupported_response_type; 400 invalid_grant for an
 *   mfa_token that is over or belongs to another request; 403 insufficient_scope, unauthorized_client; what `redeemCode` and
 *   `askSecondFactor` throw, or `finishFactor` in their place.
 */
export async function authorize(oauth: Oauth, caller: Caller, request: AuthorizeRequest): Promise<Secret> {
  const { directory } = oauth;
  const pending = await resume(directory, caller, request);
  const identified = await identify(directory, caller, pending ? begunBy(pending) : request);
  const permitted = await permit(directory, caller, identified);
  const { client, grant, redirect_uri } = permitted;
  const subject = pending
    ? await finishSecondFactor(directory, caller, client, pending, presentedFactor(request))
    : await redeem(oauth, caller, permitted);
  const { audience, state } = permitted.request;
  const login = { account: caller.account, client, grant, audience, subject };
  const authorization = await authorizePerson(directory, login);
  const result = await issueResult(oauth, caller, permitted, authorization);
  return authorizationResponse(redirect_uri, result, state, authorization.issuing.issuer);
}

async function identify(
  directory: Directory,
  { bearer }: Caller,
  request: AuthorizeRequest,
): Promise<IdentifiedRequest> {
  const client = await findClient(directory, bearer.account_id, request.client_id);
  checkActsFor(bearer, client);
  const match = (current: Client) => matchRedirectUri(current, request.redirect_uri);
  return { request, client, redirect_uri: await judgeClient(directory, client, match) };
}

async function permit(
  directory: Directory,
  { account }: Caller,
  { request, client, redirect_uri }: IdentifiedRequest,
): Promise<PermittedRequest> {
  const grant = await findGrant(directory, account, client, request.audience, "authorization_code");
  await judgeClient(directory, client, (current) => checkResponseType(current, request));
  if (request.connection !== undefined) await findConnection(directory, client, request.connection);
  return { request, client, redirect_uri, grant };
}

async function redeem(
  oauth: Oauth,
  caller: Caller,
  { request, client, grant }: PermittedRequest,
): Promise<AuthenticatedSubject> {
  const { audience, verification_code, connection, login_session_id, ident_type, ident } = request;
  const subject = await redeemCode(oauth, {
    ...occasionOf(caller),
    client,
    grant_id: grant.id,
    audience,
    verification_code: secret(verification_code ?? ""),
    connection,
    login_session_id,
    ident_type,
    ident,
  });
  await askSecondFactor(oauth.directory, caller, { client, grant, subject }, () => continuationOf(request));
  return subject;
}
