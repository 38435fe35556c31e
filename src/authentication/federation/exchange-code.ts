import { withoutSlash } from "../../directory/grants/provider-callback.ts";
import { ask, type Documents, fetchDocument, hostOf, readObject, upstreamFailed } from "../../egress/documents.ts";
import { Refusal } from "../../errors.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import type { UpstreamClaims, UpstreamPerson } from "./federation.ts";
import { verifyIdToken } from "./verify-id-token.ts";

export interface UpstreamCode {
  /** Issuer of the provider. */
  readonly authority: string;
  /** What we are called there. */
  readonly client_id: string;
  readonly client_secret: Secret;
  readonly code: Secret;
  readonly redirect_uri?: string | undefined;
  readonly nonce?: string | undefined;
  readonly code_verifier?: Secret | undefined;
  readonly now: number;
}

/**
 * Redeems a provider's code and reads its ID token; the address is asked for at its userinfo endpoint when the token holds
 * none, and is then as verified as it says there (OpenID Connect Core §5.1).
 *
 * @throws 400 upstream_login_failed, also once `signal` says that it took too long.
 */
export async function exchangeCode(
  documents: Documents,
  request: UpstreamCode,
  signal: AbortSignal,
): Promise<UpstreamPerson> {
  const provider = await discover(documents, request.authority, signal);
  const answer = await redeem(documents, provider, request, signal);
  if (typeof answer.id_token !== "string")
    throw upstreamFailed(`${hostOf(request.authority)} answered without an ID token`);
  const expected = {
    issuer: provider.issuer,
    audience: [request.client_id],
    jwks_uri: provider.jwks_uri,
    nonce: request.nonce,
    now: request.now,
  };
  const claims = (await verifyIdToken(documents, answer.id_token, expected, signal)) as UpstreamClaims;
  if (claims.email !== undefined || !provider.userinfo_endpoint || typeof answer.access_token !== "string")
    return { claims };
  try {
    const told = await userinfo(documents, provider.userinfo_endpoint, answer.access_token, claims.sub, signal);
    return { claims: { ...told, ...claims, email_verified: told.email_verified } };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { claims, untold: error };
  }
}

export interface Provider {
  readonly issuer: string;
  readonly authorization_endpoint?: string | undefined;
  readonly token_endpoint: string;
  readonly jwks_uri: string;
  readonly userinfo_endpoint?: string | undefined;
  readonly methods: readonly string[];
  /** Its answers to browsers say `iss` (RFC 9207 §3). */
  readonly names_itself: boolean;
}

/** OpenID Connect Discovery §4.3: the metadata's issuer is the one we asked. */
export async function discover(documents: Documents, authority: string, signal: AbortSignal): Promise<Provider> {
  const base = withoutSlash(authority);
  const document = await fetchDocument(documents, `${base}/.well-known/openid-configuration`, signal);
  const { issuer, token_endpoint, jwks_uri, userinfo_endpoint, authorization_endpoint } = document;
  const { token_endpoint_auth_methods_supported, authorization_response_iss_parameter_supported } = document;
  if (issuer !== authority && issuer !== base) throw upstreamFailed(`${hostOf(authority)} says it is another issuer`);
  if (typeof token_endpoint !== "string" || typeof jwks_uri !== "string") {
    throw upstreamFailed(`${hostOf(authority)} names no token endpoint or keys`);
  }
  const methods = Array.isArray(token_endpoint_auth_methods_supported) ? token_endpoint_auth_methods_supported : [];
  return {
    issuer,
    token_endpoint,
    jwks_uri,
    methods: methods.length > 0 ? methods.map(String) : ["client_secret_basic"],
    names_itself: authorization_response_iss_parameter_supported === true,
    ...(typeof userinfo_endpoint === "string" ? { userinfo_endpoint } : {}),
    ...addressOf(authorization_endpoint),
  };
}

/** As a header may hold it. */
function addressOf(endpoint: unknown): Pick<Provider, "authorization_endpoint"> {
  if (typeof endpoint !== "string" || !URL.canParse(endpoint)) return {};
  return { authorization_endpoint: new URL(endpoint).href };
}

async function redeem(
  { egress }: Documents,
  { token_endpoint, methods }: Provider,
  { client_id, client_secret, code, redirect_uri, code_verifier }: UpstreamCode,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const basic = methods.includes("client_secret_basic");
  const encode = (text: string) => encodeURIComponent(text).replaceAll("%20", "+");
  const pair = `${encode(client_id)}:${encode(reveal(client_secret))}`;
  const form = new URLSearchParams({
    grant_type: "authorization_code",
    code: reveal(code),
    ...(redirect_uri === undefined ? {} : { redirect_uri }),
    ...(code_verifier === undefined ? {} : { code_verifier: reveal(code_verifier) }),
    ...(basic ? {} : { client_id, client_secret: reveal(client_secret) }),
  });
  const headers = {
    accept: "application/json",
    "content-type": "application/x-www-form-urlencoded",
    ...(basic ? { authorization: `Basic ${Buffer.from(pair).toString("base64")}` } : {}),
  };
  const request = { url: token_endpoint, method: "POST" as const, headers, body: form.toString(), signal };
  const { status, body } = await ask(egress, request);
  const answer = readObject(body, hostOf(token_endpoint));
  if (status === 200) return answer;
  const said = typeof answer.error === "string" && /^[\w.-]{1,64}$/.test(answer.error) ? ` (${answer.error})` : "";
  throw upstreamFailed(`${hostOf(token_endpoint)} refused the code with ${status}${said}`);
}

/** @throws 400 upstream_login_failed, also for what speaks of another `sub` (OpenID Connect Core §5.3.2). */
async function userinfo(
  { egress }: Documents,
  url: string,
  access_token: string,
  sub: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const headers = { accept: "application/json", authorization: `Bearer ${access_token}` };
  const { status, body } = await ask(egress, { url, method: "GET", headers, signal });
  if (status !== 200) throw upstreamFailed(`${hostOf(url)} answered ${status} for its userinfo`);
  const claims = readObject(body, hostOf(url));
  if (claims.sub !== sub) throw upstreamFailed(`${hostOf(url)} speaks of somebody else in its userinfo`);
  return claims;
}
