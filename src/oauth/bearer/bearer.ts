/**
 * The bearer hook: who calls, checked in full before anything else of a request is read (RFC 6750, RFC 9068 §4). Installed
 * once; each route says in its contract which scopes and subject types it accepts.
 *
 * In: the path's account and the Authorization header. Out: `request.account_id` and `request.bearer`; or 400 for an `oid`
 * that is none, 401 for a token that is missing, foreign or dead, 403 for one that is not enough.
 */
import type { FastifyRequest } from "fastify";
import { canonicalAccountId, issuerOf, pathOf, readAccountId } from "../../directory/accounts/account.ts";
import { lookUpAccount } from "../../directory/accounts/find-account.ts";
import { checkOrigin } from "../../directory/clients/allowed-origins.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { isAccountApi } from "../../directory/grants/audience.ts";
import { judgeClient } from "../../directory/judge.ts";
import { heldNow } from "../../directory/scopes.ts";
import { holdingOfProvider } from "../../directory/users/account-user.ts";
import { errorDescription, type Refusal, refuse, unlessRefused } from "../../errors.ts";
import type { Bearer, RouteContract } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { asymmetric_algs } from "../../secrets/public-key.ts";
import { type AccessToken, subjectsOf, verifyAccessToken } from "../../tokens/verify.ts";
import { type Presented, presentedBy, readProof } from "../dpop/dpop.ts";
import type { Oauth } from "../oauth.ts";
import { countedScope, userinfoAudience } from "../scopes.ts";
import { externalBearer } from "./external-bearer.ts";
import { checkStillGiven, mayHaveLost } from "./still-given.ts";

export function requireBearer(app: App, deps: Oauth): void {
  app.decorateRequest("account_id", "");
  app.decorateRequest("found_bearer", null);
  app.decorateRequest("bearer", {
    getter(this: FastifyRequest) {
      if (!this.found_bearer) throw new Error(`${this.routeOptions.url} is public and has no bearer`);
      return this.found_bearer;
    },
  });
  app.addHook("onRequest", (request) => authenticate(deps, request));
  app.finishChallenge = (said, request) => finishChallenge(deps.directory.public_url, said, request);
}

/**
 * In the scheme in which the token came (RFC 9449 §7.1), at userinfo with where it is written who may give a better one: what
 * a challenge leads to is believed only where it is of the very address that was asked (RFC 9728 §3.3), and at the account
 * API tokens are for all addresses together.
 */
function finishChallenge(public_url: string, said: string, request: FastifyRequest): string {
  const { headers, account_id, originalUrl } = request;
  const scheme = comesByProof(headers.authorization) ? "DPoP" : said.split(" ", 1)[0];
  const resource = userinfoAudience(issuerOf(public_url, account_id));
  const { origin } = new URL(public_url);
  const parts = [
    said.replace(/^\w+/, scheme ?? ""),
    ...(scheme === "DPoP" ? [`algs="${asymmetric_algs.join(" ")}"`] : []),
    ...(`${public_url}${originalUrl}` === resource
      ? [`resource_metadata="${origin}/.well-known/oauth-protected-resource${pathOf(resource)}"`]
      : []),
  ];
  return parts.join(", ");
}

const comesByProof = (authorization: string | undefined) => /^DPoP /i.test(authorization ?? "");

declare module "fastify" {
  interface FastifyRequest {
    found_bearer: Bearer | null;
  }
}

async function authenticate(deps: Oauth, request: FastifyRequest): Promise<void> {
  const { config } = request.routeOptions;
  const { oid } = (request.params ?? {}) as { oid?: string };
  // A page whose preflight is refused never learns what is wrong with its request (Fetch §4.8).
  if (oid !== undefined && request.method !== "OPTIONS") request.account_id = readAccountId(oid, "oid");
  if (config.public || config.scopes === undefined) return;
  const presented = presentedBy(request);
  const { authorization } = presented;
  // A route without an account in its path serves the person whose token it is, in the account that issued it.
  if (oid === undefined) request.account_id = claimedAccount(deps.directory.public_url, authorization);
  const bearer = await findBearer(deps, request.account_id, presented, config.external === true);
  checkBearer(bearer, config);
  request.found_bearer = bearer;
}

/** @throws 401 invalid_token or 403 insufficient_scope for a kind of subject that the route does not take, 403 for scopes. */
export function checkBearer(
  bearer: Bearer,
  { scopes = [], subject_types = ["client"], foreign_subject }: Partial<RouteContract>,
): void {
  if (!subject_types.includes(bearer.subject_type)) {
    if (foreign_subject === "invalid_token") throw challenge(refuse("invalid_token"));
    throw refuse("insufficient_scope", { message: `This operation takes a ${subject_types.join(" or ")}'s token.` });
  }
  checkScopes(bearer, scopes);
}

/**
 * The account that an unverified token says it is of; what it says is checked next. `oid` says so in tokens of our own alone:
 * other providers mean the person by it.
 */
function claimedAccount(public_url: string, authorization: string | undefined): string {
  const { iss, oid, aud } = claimsOf(bearerToken(authorization));
  const own = typeof oid === "string" && iss === issuerOf(public_url, oid) ? canonicalAccountId(oid) : undefined;
  const account_id = own ?? [aud].flat().map(accountNamedBy).find(Boolean);
  if (!account_id) throw challenge(refuse("invalid_token", { detail: "names no account" }));
  return account_id;
}

const accountNamedBy = (audience: unknown) =>
  typeof audience === "string" ? canonicalAccountId(audience.replace(/^.*\/accounts\//, "")) : undefined;

function claimsOf(token: string): Readonly<Record<string, unknown>> {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    return typeof claims === "object" && claims !== null ? (claims as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** @throws 401 invalid_token. */
export function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined) throw challenge(undefined);
  const [, token] = /^(?:Bearer|DPoP) +([A-Za-z0-9._~+/-]+=*) *$/i.exec(authorization) ?? [];
  if (token === undefined) throw challenge(refuse("invalid_token", { detail: "not a bearer token" }));
  return token;
}

/**
 * Whose token it is, checked in full; with `external` also an ID token of the account's own provider.
 *
 * @throws 401 invalid_token, the same for an account that does not exist and a token that is not its.
 */
export async function findBearer(
  { directory, tokens, documents }: Oauth,
  account_id: string,
  presented: Presented,
  external = false,
): Promise<Bearer> {
  const token = bearerToken(presented.authorization);
  const account = await lookUpAccount(directory, account_id);
  if (!account) throw challenge(refuse("invalid_token", { detail: "no such account" }));
  const issuer = issuerOf(directory.public_url, account_id);
  try {
    if (external && claimsOf(token).iss !== issuer) {
      const bearer = await externalBearer(directory, documents, account, token);
      if (!bearer) throw refuse("invalid_token", { detail: "no external account user" });
      return bearer;
    }
    const verified = await findAlive({ directory, tokens }, account_id, token);
    if (!isAccountApi(account, directory.public_url, verified.audience))
      throw refuse("invalid_token", { detail: "of another audience" });
    await checkHolder(directory, verified, token, presented);
    await checkPage(directory, verified, presented);
    return bearerOf(verified);
  } catch (error) {
    throw challenge(error as Error);
  }
}

/** A token of this account that is good now, whatever it is for. @throws 401 invalid_token. */
export async function findAlive(
  { directory, tokens }: Pick<Oauth, "directory" | "tokens">,
  account_id: string,
  token: string,
): Promise<AccessToken> {
  const issuer = issuerOf(directory.public_url, account_id);
  const signed = await verifyAccessToken(tokens, account_id, issuer, token, directory.storage.now());
  const verified = await asCounted(directory, signed);
  directory.revocations.checkAlive(account_id, subjectsOf(verified), verified);
  if (mayHaveLost(directory, account_id, verified)) await checkStillGiven(directory, account_id, verified);
  if (verified.partner_account !== undefined) await checkPartner(directory, verified, verified.partner_account);
  if (verified.holds) await checkOwnProvider(directory, verified, verified.holds);
  return verified;
}

/** The audience may have become a name of the account API (`api_audiences`) since the token was given. */
async function asCounted(directory: Directory, token: AccessToken): Promise<AccessToken> {
  if (token.subject_type !== "user") return token;
  const account = await lookUpAccount(directory, token.account_id);
  if (!account || !isAccountApi(account, directory.public_url, token.audience)) return token;
  return { ...token, scope: countedScope(token.scope, token.holds) };
}

/** What came of an ID token of the account's own provider ends when that is taken away, or another takes its place. */
async function checkOwnProvider(
  directory: Directory,
  { account_id }: AccessToken,
  holds: readonly string[],
): Promise<void> {
  const provider = holds.find((held) => held.startsWith("provider:"));
  if (provider === undefined) return;
  const jwks = (await lookUpAccount(directory, account_id))?.settings.jwks;
  if (!jwks || holdingOfProvider(jwks) !== provider)
    throw refuse("invalid_token", { detail: "the provider is not the account's any more" });
}

/** What a partner does here hangs on its own client and grant, which live with it, and on a merchant that lets it in. */
async function checkPartner(directory: Directory, token: AccessToken, partner_account: string): Promise<void> {
  directory.revocations.checkAlive(partner_account, subjectsOf(token));
  await checkStillGiven(directory, partner_account, token);
  const merchant = await lookUpAccount(directory, token.account_id);
  if (!merchant?.settings.partner_access) throw refuse("invalid_token", { detail: "partners are not let in" });
}

/** As findAlive, out of the Authorization header alone (RFC 6750 §2.1), with the challenge of RFC 6750 §3. */
export async function findToken(
  deps: Pick<Oauth, "directory" | "tokens">,
  account_id: string,
  presented: Presented,
): Promise<AccessToken> {
  const token = bearerToken(presented.authorization);
  try {
    const verified = await findAlive(deps, account_id, token);
    await checkHolder(deps.directory, verified, token, presented);
    await checkPage(deps.directory, verified, presented);
    return verified;
  } catch (error) {
    throw challenge(error as Error);
  }
}

/**
 * A token that is bound to a key is good only with a proof of that key, and only as `DPoP` (RFC 9449 §7.1).
 *
 * @throws 401 invalid_token, 400 invalid_dpop_proof or use_dpop_nonce, which the challenge makes 401.
 */
async function checkHolder(
  directory: Directory,
  { account_id, jkt }: AccessToken,
  token: string,
  presented: Presented,
): Promise<void> {
  const by_proof = comesByProof(presented.authorization);
  if (jkt === undefined && !by_proof) return;
  if (jkt === undefined || !by_proof) throw refuse("invalid_token", { detail: "bound to a key, or not" });
  const proof = await readProof(directory, account_id, presented, token);
  if (proof.jkt !== jkt) throw refuse("invalid_token", { detail: "bound to another key" });
  await proof.spend();
}

/** Where a page calls, it is one that the token's client lists. @throws 403 unauthorized_client. */
async function checkPage(
  directory: Directory,
  { account_id, partner_account, client_uuid }: AccessToken,
  { origin }: Presented,
): Promise<void> {
  if (origin === undefined) return;
  const client = await lookUpClient(directory, partner_account ?? account_id, client_uuid);
  if (client) await judgeClient(directory, client, (current) => checkOrigin(directory, current, origin));
}

/** As findAlive; undefined when it is none. */
export const lookUpToken = (
  deps: Pick<Oauth, "directory" | "tokens">,
  account_id: string,
  token: string,
): Promise<AccessToken | undefined> => findAlive(deps, account_id, token).catch(unlessRefused("invalid_token"));

function bearerOf(token: AccessToken): Bearer {
  const { account_id, subject_type, subject, pairwise_subject, client_id, client_uuid } = token;
  const { audience, sid, began_at, grant_id, auth_time, amr, by_device, jkt } = token;
  const who = { account_id, subject_type, subject, pairwise_subject, client_id, client_uuid };
  const rests = { audience, grant_id, hangs_on: subjectsOf(token) };
  return { ...who, ...rests, scope: heldNow(token.scope), sid, began_at, auth_time, amr, by_device, jkt };
}

/** RFC 6750 §3: without any credentials the challenge names no error. */
function challenge(error: Error | undefined): Error {
  if (error === undefined) {
    const headers = { "www-authenticate": 'Bearer realm="latchkey"' };
    return refuse("invalid_token", { message: "An access token is required: Authorization: Bearer …", headers });
  }
  const { code, options, message } = error as Refusal;
  if (code === "invalid_dpop_proof" || code === "use_dpop_nonce") {
    const said = `DPoP realm="latchkey", error="${code}"`;
    return refuse("invalid_token", { message, headers: { ...options.headers, "www-authenticate": said } });
  }
  if (code === "upstream_login_failed") {
    // The token may be good: nobody knows while its issuer does not answer.
    if (options.momentary) return refuse("temporarily_unavailable", { cause: error, retry_after: 1 });
    return challenge(refuse("invalid_token", { message: options.bare ?? message, cause: error }));
  }
  if (code !== "invalid_token") return error;
  const headers = {
    "www-authenticate": `Bearer realm="latchkey", error="invalid_token", error_description="${errorDescription(message)}"`,
  };
  return refuse("invalid_token", { ...options, headers });
}

/** With the challenge that RFC 6750 §3 asks for. */
export function challengeOf(refusal: Refusal): Refusal {
  return challenge(refusal) as Refusal;
}

function checkScopes(bearer: Bearer, scopes: readonly string[]): void {
  if (scopes.length === 0 || scopes.some((scope) => bearer.scope.includes(scope))) return;
  throw refuse("insufficient_scope", {
    message: `The access token needs one of these scopes: ${scopes.join(" ")}.`,
    scopes,
  });
}
