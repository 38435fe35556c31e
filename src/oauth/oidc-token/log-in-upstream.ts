/**
 * `POST auth/oidc/token`: a person logs in at another OpenID provider, which the grant of a client names, and the client brings
 * the code that it got there.
 *
 * In: the bearer, and that code. Out: tokens of this server for the person who is linked to that identity.
 */
import type { RequestFacts } from "../../audit/audit.ts";
import { exchangeCode } from "../../authentication/federation/exchange-code.ts";
import type { UpstreamClaims } from "../../authentication/federation/federation.ts";
import { linkIdentity } from "../../authentication/federation/link-identity.ts";
import { recordRefused } from "../../authentication/federation/record-refused.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { matchRedirectUri } from "../../directory/clients/callback.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { canonicalAudience } from "../../directory/grants/audience.ts";
import { pickGrant } from "../../directory/grants/find-grant.ts";
import { openOidcSecret } from "../../directory/grants/oidc-secret.ts";
import { judgeClient } from "../../directory/judge.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import { PATIENCE } from "../../egress/documents.ts";
import { refuse } from "../../errors.ts";
import type { Bearer } from "../../http/contract.ts";
import { optionalSecret, secret } from "../../secrets/secret.ts";
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
export async function logInUpstream(
  oauth: Oauth,
  bearer: Bearer,
  request: OidcTokenRequest,
  facts: RequestFacts,
): Promise<UpstreamTokens> {
  const { directory, documents } = oauth;
  const { audience, client_id: name, redirect_uri, nonce, code, code_verifier } = request;
  const account = await findAccount(directory, bearer.account_id);
  const client = await findClient(directory, bearer.account_id, name);
  checkActsFor(bearer, client);
  checkBound(client);
  if (redirect_uri !== undefined)
    await judgeClient(directory, client, (current) => matchRedirectUri(current, redirect_uri));
  const canonical = (one: string) => canonicalAudience(account, directory.public_url, one);
  const grant = await pickGrant(directory, client, (grants) =>
    grants.find((one) => one.oidc && canonical(one.audience) === canonical(audience)),
  );
  const client_secret = grant && (await openOidcSecret(directory, grant));
  if (!grant?.oidc || !client_secret) {
    throw refuse("unauthorized_client", { message: "The client holds no grant with oidc for this audience." });
  }
  const now = directory.storage.now();
  const { authority, client_id, trusted_domains = [] } = grant.oidc;
  const presented = {
    code: secret(code),
    code_verifier: optionalSecret(code_verifier),
  };
  const upstream = { authority, client_id, client_secret, redirect_uri, nonce, now, ...presented };
  const refused = recordRefused(directory, { account, client, actor: bearer.subject, facts });
  const person = await exchangeCode(documents, upstream, AbortSignal.timeout(PATIENCE)).catch(refused);
  const login = { ...person, account, client, grant_id: grant.id, trusted_domains, actor: bearer.subject, facts, now };
  const subject = await linkIdentity(directory, login).catch(refused);
  const proof = { client, grant, audience, subject, lasting: false };
  const tokens = await finishFirstFactor(oauth, { account, bearer, now }, proof);
  return { tokens, authority, claims: person.claims };
}
