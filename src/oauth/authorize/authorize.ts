/**
 * `POST auth/authorize`: a client that holds a bearer token exchanges a person's verification code for a redirect to one of
 * the client's callbacks. This file is the conductor: it opens each door once, in the order in which the checks are
 * promised, and nothing it calls calls it back.
 *
 * In: the bearer and the request's parameters. Out: the address to redirect to, or a refusal; no refusal is ever
 * redirected. Redeeming the code is the only step that spends anything, and for a known person with a mailed code the
 * request's only commit. Where a second factor is asked for, the same endpoint finishes with it, in two commits.
 *
 * RFC 6749 §4.1–4.2, OpenID Connect Core §2, RFC 7636 §4.3, RFC 9207, RFC 9700 §2.1.
 */
import type { RequestFacts } from "../../audit/audit.ts";
import { requireFactor } from "../../authentication/mfa/require-factor.ts";
import type { AuthenticatedSubject } from "../../authentication/subject.ts";
import { redeemCode } from "../../authentication/verification/redeem.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { matchRedirectUri } from "../../directory/clients/callback.ts";
import type { Client } from "../../directory/clients/client.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { findConnection } from "../../directory/connections/connection.ts";
import { findGrant } from "../../directory/grants/find-grant.ts";
import type { Grant } from "../../directory/grants/grant.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import type { Bearer } from "../../http/contract.ts";
import { type Secret, secret } from "../../secrets/secret.ts";
import { authorizePerson } from "../authorization-for.ts";
import type { Oauth } from "../oauth.ts";
import { NO_MFA } from "../scopes.ts";
import { begunBy, continuationOf, finish, resume, type SourceOf } from "./after-mfa.ts";
import { checkResponseType } from "./check-response-type.ts";
import { issueResult } from "./issue-result.ts";
import { authorizationResponse } from "./response.ts";
import type { AuthorizeRequest } from "./schema.ts";

/** We know who asks, and where the answer may go. */
interface IdentifiedRequest {
  readonly request: AuthorizeRequest;
  readonly account: Account;
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
 *   `requireFactor` throw, or `finishFactor` in their place.
 */
export async function authorize(
  oauth: Oauth,
  bearer: Bearer,
  request: AuthorizeRequest,
  facts: RequestFacts,
  source: SourceOf,
): Promise<Secret> {
  const now = oauth.directory.storage.now();
  const pending = await resume(oauth.directory, bearer, request, now);
  const identified = await identify(oauth, bearer, pending ? begunBy(pending) : request);
  const permitted = await permit(oauth, identified);
  const subject = pending
    ? await finish(oauth.directory, permitted, pending, { request, bearer, facts, source, now })
    : await redeem(oauth, permitted, bearer, facts, now);
  const { account, client, grant, redirect_uri } = permitted;
  const { audience, state } = permitted.request;
  const authorization = await authorizePerson(oauth.directory, { account, client, grant, audience, subject });
  const result = await issueResult(oauth, permitted, authorization, now);
  return authorizationResponse(redirect_uri, result, state, authorization.issuing.issuer);
}

async function identify(oauth: Oauth, bearer: Bearer, request: AuthorizeRequest): Promise<IdentifiedRequest> {
  const account = await findAccount(oauth.directory, bearer.account_id);
  const client = await findClient(oauth.directory, bearer.account_id, request.client_id);
  checkActsFor(bearer, client);
  return { request, account, client, redirect_uri: matchRedirectUri(client, request.redirect_uri) };
}

async function permit(oauth: Oauth, identified: IdentifiedRequest): Promise<PermittedRequest> {
  const { request, account, client, redirect_uri } = identified;
  const grant = await findGrant(oauth.directory, account, client, request.audience, "authorization_code");
  checkResponseType(client, request);
  if (request.connection !== undefined) await findConnection(oauth.directory, client, request.connection);
  return { request, account, client, redirect_uri, grant };
}

async function redeem(
  oauth: Oauth,
  { request, account, client, grant }: PermittedRequest,
  bearer: Bearer,
  facts: RequestFacts,
  now: number,
): Promise<AuthenticatedSubject> {
  const { audience, verification_code, connection, login_session_id, ident_type, ident } = request;
  const subject = await redeemCode(oauth, {
    account,
    client,
    grant_id: grant.id,
    audience,
    verification_code: secret(verification_code ?? ""),
    connection,
    login_session_id,
    ident_type,
    ident,
    actor: bearer.subject,
    facts,
    now,
  });
  if (bearer.scope.includes(NO_MFA)) return subject;
  const continuation = () => continuationOf(request);
  await requireFactor(oauth.directory, { account, client, grant_id: grant.id, subject, continuation, now });
  return subject;
}
