import { discover, exchangeCode, type Provider } from "../../authentication/federation/exchange-code.ts";
import { linkIdentity } from "../../authentication/federation/link-identity.ts";
import { recordRefusal } from "../../authentication/federation/record-refused.ts";
import type { AuthenticatedSubject } from "../../authentication/subject.ts";
import type { GrantOidc } from "../../directory/grants/grant.ts";
import { grantsOf } from "../../directory/grants/grants-of.ts";
import { openOidcSecret } from "../../directory/grants/oidc-secret.ts";
import { type Provided, providedFor } from "../../directory/grants/provided.ts";
import { providerCallback, providerDigest } from "../../directory/grants/provider-callback.ts";
import { hostOf, PATIENCE, upstreamFailed } from "../../egress/documents.ts";
import { noSuch } from "../../errors.ts";
import type { RequestFacts } from "../../http/facts.ts";
import { base64url, hmac, sameBytes, sha256Text } from "../../secrets/digest.ts";
import { type Secret, secret } from "../../secrets/secret.ts";
import type { Oauth } from "../oauth.ts";
import { addToQuery } from "../redirect-address.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";
import { RedirectedRefusal } from "./redirected-refusal.ts";
import type { Resumed } from "./resume.ts";
import { isFreshEnough, maxAgeThere } from "./upstream-freshness.ts";

/**
 * The other servers that may log this client's people in: those of its grants for what is asked, or of all where nothing is.
 * None where they are account users, about whom none decides (`linkIdentity`).
 */
export async function providersOf(
  { directory }: Oauth,
  { account, client }: Pick<Resumed, "account" | "client">,
  { parameters }: AuthorizationRequest,
): Promise<readonly Provided[]> {
  if (client.settings.user_type === "account_user") return [];
  return providedFor(directory, account, await grantsOf(directory, client), parameters.audience);
}

/** What a person knows it by. */
export const hostOfProvider = ({ oidc }: { readonly oidc: Pick<GrantOidc, "authority"> }): string =>
  hostOf(oidc.authority);

/**
 * What ties an answer to the browser's own request and to the grant whose provider was asked: derived from both, so
 * that nothing of it has to be kept. The request opens only in the browser that began it, which is what `state` is
 * for (RFC 9700 §4.7).
 */
function secretsOf({ directory: { master_keys } }: Oauth, { account_id, id }: AuthorizationRequest, grant_id: string) {
  const key = master_keys.derive(master_keys.current, account_id, "session");
  const derived = (what: string) => base64url(hmac(key, "upstream", id, grant_id, what));
  return { state: derived("state"), nonce: derived("nonce"), code_verifier: derived("verifier") };
}

/** Where the browser goes to log in elsewhere. @throws 400 upstream_login_failed; 404 not_found. */
export async function upstreamAddress(
  oauth: Oauth,
  resumed: Resumed,
  request: AuthorizationRequest,
  grant_id: string,
): Promise<Secret> {
  const grant = (await providersOf(oauth, resumed, request)).find(({ id }) => id === grant_id);
  if (!grant) throw noSuch("login");
  const { authority, client_id } = grant.oidc;
  const { authorization_endpoint } = await discover(oauth.documents, authority, AbortSignal.timeout(PATIENCE));
  if (authorization_endpoint === undefined)
    throw upstreamFailed(`${hostOf(authority)} names no authorization endpoint`);
  const { state, nonce, code_verifier } = secretsOf(oauth, request, grant.id);
  const { login_hint, ui_locales, prompt } = request.parameters;
  return addToQuery(authorization_endpoint, [
    ["client_id", client_id],
    ["response_type", "code"],
    ["redirect_uri", providerCallback(oauth.directory.public_url, request.account_id, grant.oidc)],
    ["scope", "openid email profile"],
    ["state", `${request.id}.${grant.id}.${state}`],
    ["nonce", nonce],
    ["code_challenge", sha256Text(code_verifier)],
    ["code_challenge_method", "S256"],
    ["prompt", prompt.includes("login") ? "login" : undefined],
    ["max_age", maxAgeThere(request.parameters)?.toString()],
    ["login_hint", login_hint],
    ["ui_locales", ui_locales.length > 0 ? ui_locales.join(" ") : undefined],
  ]);
}

export interface UpstreamAnswer {
  /** Whose address the browser came back to: a provider's digest. */
  readonly provider: string;
  readonly state?: string | undefined;
  readonly code?: string | undefined;
  readonly error?: string | undefined;
  readonly iss?: string | undefined;
}

/** The request that an answer says it belongs to. */
export const requestOfState = (state: string | undefined): string | undefined => state?.split(".")[0];

/** A server that says it names itself in its answers has to (RFC 9207 §2.4). */
const isAnswerOf = ({ issuer, names_itself }: Provider, iss: string | undefined): boolean =>
  iss === undefined ? !names_itself : iss === issuer;

/**
 * Somebody comes back from the other server.
 *
 * @throws 400 upstream_login_failed; 403 user_not_linked, access_denied; RedirectedRefusal for a login that is not as
 *   fresh as was asked for: the other server was told to ask again, and has not.
 */
export async function finishUpstream(
  oauth: Oauth,
  { account, client }: Resumed,
  resumedFor: { readonly request: AuthorizationRequest; readonly facts: RequestFacts },
  { provider, state = "", code, error, iss }: UpstreamAnswer,
): Promise<{ readonly subject: AuthenticatedSubject; readonly grant_id: string }> {
  const { request, facts } = resumedFor;
  const { directory, documents } = oauth;
  const [, grant_id = "", presented = ""] = state.split(".");
  const own = secretsOf(oauth, request, grant_id);
  if (!sameBytes(Buffer.from(presented), Buffer.from(own.state)))
    throw upstreamFailed("the answer is not to our question");
  const grant = (await providersOf(oauth, { account, client }, request)).find(({ id }) => id === grant_id);
  const client_secret = grant && (await openOidcSecret(directory, grant));
  if (!grant || !client_secret) throw upstreamFailed("this login is not there any more");
  const { authority, client_id, trusted_domains = [] } = grant.oidc;
  const signal = AbortSignal.timeout(PATIENCE);
  if (provider !== providerDigest(grant.oidc) || !isAnswerOf(await discover(documents, authority, signal), iss))
    throw upstreamFailed("another server answered");
  if (code === undefined)
    throw upstreamFailed(`${hostOf(authority)} logged nobody in (${(error ?? "no code").slice(0, 64)})`);
  const now = directory.storage.now();
  const redemption = {
    ...{ authority, client_id, client_secret, now },
    code: secret(code),
    redirect_uri: providerCallback(directory.public_url, account.account_id, grant.oidc),
    nonce: own.nonce,
    code_verifier: secret(own.code_verifier),
  };
  const person = await exchangeCode(documents, redemption, signal);
  if (!isFreshEnough(request, person.claims, now)) {
    const stale = "The login at the other server is older than was asked for, or does not say when it was.";
    const refused = { account, client, actor: client.id, facts, at_page: true };
    await recordRefusal(directory, refused, "login_required", stale);
    throw new RedirectedRefusal(request.parameters, "login_required", stale);
  }
  const about = { ...person, account, client, grant_id: grant.id, trusted_domains };
  return { subject: await linkIdentity(directory, { ...about, actor: client.id, facts, now }), grant_id: grant.id };
}
