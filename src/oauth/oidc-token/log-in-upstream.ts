/**
 * `POST auth/oidc/token`: a person logs in at another OpenID provider, which the grant of a client names, and the client brings
 * the code that it got there.
 *
 * In: the bearer, and that code. Out: tokens of this server for the person who is linked to that identity.
 */
import { exchangeCode } from "../../authentication/federation/exchange-code.ts";
import type { UpstreamClaims } from "../../authentication/federation/federation.ts";
import { linkIdentity } from "../../authentication/federation/link-identity.ts";
import { recordRefused } from "../../authentication/federation/record-refused.ts";
import { occasionOf } from "../../authentication/occasion.ts";
import { matchRedirectUri } from "../../directory/clients/callback.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { pickGrant } from "../../directory/grants/find-grant.ts";
import { openOidcSecret } from "../../directory/grants/oidc-secret.ts";
import { providedFor } from "../../directory/grants/provided.ts";
import { judgeClient } from "../../directory/judge.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import { PATIENCE } from "../../egress/documents.ts";
import { refuse } from "../../errors.ts";
import { optionalSecret, secret } from "../../secrets/secret.ts";
import type { Caller } from "../caller.ts";
import { checkBound } from "../dpop/check-bound.ts";
import { finishFirstFactor } from "../finish-first-factor.ts";
import type { PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";
import type { OidcTokenRequest } from "./schema.ts";

export interface UpstreamTokens {
  readonly tokens: PersonTokens;
  readonly authority: string;
  /** What the external server says about the person. */
  readonly claims: UpstreamClaims;
}

/**
 * A code of the external server that the client's grant names, for a person's token.
 *
 * @throws 400 upstream_login_failed, redirect_uri_mismatch; 403 unauthorized_client, user_not_linked, mfa_required.
 */
export async function logInUpstream(oauth: Oauth, caller: Caller, request: OidcTokenRequest): Promise<UpstreamTokens> {
  const { directory, documents } = oauth;
  const { audience, client_id: name, redirect_uri, nonce, code, code_verifier } = request;
  const { account, now } = caller;
  const client = await findClient(directory, account.account_id, name);
  checkActsFor(caller.bearer, client);
  checkBound(client);
  if (redirect_uri !== undefined)
    await judgeClient(directory, client, (current) => matchRedirectUri(current, redirect_uri));
  const grant = await pickGrant(directory, client, (grants) => providedFor(directory, account, grants, audience)[0]);
  const client_secret = grant && (await openOidcSecret(directory, grant));
  if (!grant?.oidc || !client_secret) {
    throw refuse("unauthorized_client", { message: "The client holds no grant with oidc for this audience." });
  }
  const { authority, client_id, trusted_domains = [] } = grant.oidc;
  const presented = { code: secret(code), code_verifier: optionalSecret(code_verifier) };
  const upstream = { authority, client_id, client_secret, redirect_uri, nonce, now, ...presented };
  const occasion = occasionOf(caller);
  const refused = recordRefused(directory, { ...occasion, client });
  const person = await exchangeCode(documents, upstream, AbortSignal.timeout(PATIENCE)).catch(refused);
  const login = { ...occasion, ...person, client, grant_id: grant.id, trusted_domains };
  const subject = await linkIdentity(directory, login).catch(refused);
  const tokens = await finishFirstFactor(oauth, caller, { client, grant, audience, subject, lasting: false });
  return { tokens, authority, claims: person.claims };
}
