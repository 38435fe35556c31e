/**
 * `POST auth/authorize`: a client that holds a bearer token exchanges a person's verification code for a redirect to one of
 * the client's callbacks. This file is the conductor: it opens each door once, in the order in which the checks are
 * promised, and nothing it calls calls it back.
 *
 * In: the bearer and the request's parameters. Out: the address to redirect to, or a refusal; no refusal is ever
 * redirected. Redeeming the code is the only step that spends anything, and the request's only commit.
 *
 * RFC 6749 §4.1–4.2, OpenID Connect Core §2, RFC 7636 §4.3, RFC 9207, RFC 9700 §2.1.
 */
import type { RequestFacts } from "../../audit/audit.ts";
import type { AuthenticatedSubject } from "../../authentication/subject.ts";
import { redeemCode } from "../../authentication/verification/redeem.ts";
import type { Verification } from "../../authentication/verification/verification.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { matchRedirectUri } from "../../directory/clients/callback.ts";
import type { Client } from "../../directory/clients/client.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { findConnection } from "../../directory/connections/connection.ts";
import type { Directory } from "../../directory/directory.ts";
import { isAccountApi } from "../../directory/grants/audience.ts";
import { findGrant } from "../../directory/grants/find-grant.ts";
import type { Grant } from "../../directory/grants/grant.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import type { Bearer } from "../../http/contract.ts";
import { type Secret, secret } from "../../secrets/secret.ts";
import type { Authorization } from "../../tokens/authorization.ts";
import type { Tokens } from "../../tokens/tokens.ts";
import { authorizationFor } from "../authorization-for.ts";
import { personScope } from "../person-scope.ts";
import { checkResponseType } from "./check-response-type.ts";
import { issueResult } from "./issue-result.ts";
import { authorizationResponse } from "./response.ts";
import type { AuthorizeRequest } from "./schema.ts";

export interface AuthorizeDeps {
  readonly directory: Directory;
  readonly verification: Verification;
  readonly tokens: Tokens;
}

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

export async function authorize(
  deps: AuthorizeDeps,
  bearer: Bearer,
  request: AuthorizeRequest,
  facts: RequestFacts,
): Promise<Secret> {
  const now = deps.directory.storage.now();
  const identified = await identify(deps, bearer, request);
  const permitted = await permit(deps, identified);
  const subject = await redeem(deps, permitted, bearer, facts, now);
  const authorization = authorizationOf(deps, permitted, subject);
  const result = await issueResult(deps, permitted, authorization, now);
  return authorizationResponse(permitted.redirect_uri, result, request.state, authorization.issuing.issuer);
}

async function identify(deps: AuthorizeDeps, bearer: Bearer, request: AuthorizeRequest): Promise<IdentifiedRequest> {
  const account = await findAccount(deps.directory, bearer.account_id);
  const client = await findClient(deps.directory, bearer.account_id, request.client_id);
  checkActsFor(bearer, client);
  return { request, account, client, redirect_uri: matchRedirectUri(client, request.redirect_uri) };
}

async function permit(deps: AuthorizeDeps, identified: IdentifiedRequest): Promise<PermittedRequest> {
  const { request, account, client } = identified;
  const grant = await findGrant(deps.directory, account, client, request.audience, "authorization_code");
  checkResponseType(client, request);
  if (request.connection !== undefined) await findConnection(deps.directory, client, request.connection);
  return { ...identified, grant };
}

function redeem(
  { verification }: AuthorizeDeps,
  { request, account, client, grant }: PermittedRequest,
  bearer: Bearer,
  facts: RequestFacts,
  now: number,
): Promise<AuthenticatedSubject> {
  const { audience, verification_code, connection, login_session_id, ident_type, ident } = request;
  return redeemCode(verification, {
    account,
    client,
    grant_id: grant.id,
    audience,
    verification_code: secret(verification_code),
    connection,
    login_session_id,
    ident_type,
    ident,
    actor: bearer.subject,
    facts,
    now,
  });
}

function authorizationOf(
  { directory }: AuthorizeDeps,
  { request, account, client, grant }: PermittedRequest,
  subject: AuthenticatedSubject,
): Authorization {
  const at_account_api = isAccountApi(account, directory.public_url, request.audience);
  const scope = personScope(grant.scope, at_account_api);
  return authorizationFor(directory, account, client, subject, {
    grant_id: grant.id,
    audience: request.audience,
    scope,
  });
}
