/**
 * The bearer hook: who calls, checked in full before anything else of a request is read (RFC 6750, RFC 9068 §4). Installed
 * once; each route says in its contract which scopes and subject types it accepts.
 *
 * In: the path's account and the Authorization header. Out: `request.account_id` and `request.bearer`; or 400 for an `oid`
 * that is none, 401 for a token that is missing, foreign or dead, 403 for one that is not enough.
 *
 * `find-alive.ts` knows whether a token is good, `find-token.ts` who may show it, `challenge.ts` what is said of one
 * that is not.
 */
import type { FastifyRequest } from "fastify";
import { canonicalAccountId, issuerOf, readAccountId } from "../../directory/accounts/account.ts";
import { lookUpAccount } from "../../directory/accounts/find-account.ts";
import { isAccountApi } from "../../directory/grants/audience.ts";
import { heldNow } from "../../directory/scopes.ts";
import { refuse } from "../../errors.ts";
import type { Bearer, RouteContract } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { type AccessToken, subjectsOf } from "../../tokens/verify.ts";
import { type Presented, presentedBy } from "../dpop/dpop.ts";
import type { Oauth } from "../oauth.ts";
import { challengeOf, finishChallenge } from "./challenge.ts";
import { externalBearer } from "./external-bearer.ts";
import { findAlive } from "./find-alive.ts";
import { bearerToken, checkShown } from "./find-token.ts";

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
    if (foreign_subject === "invalid_token") throw challengeOf(refuse("invalid_token"));
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
  if (!account_id) throw challengeOf(refuse("invalid_token", { detail: "names no account" }));
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
  if (!account) throw challengeOf(refuse("invalid_token", { detail: "no such account" }));
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
    await checkShown(directory, verified, token, presented);
    return bearerOf(verified);
  } catch (error) {
    throw challengeOf(error as Error);
  }
}

function bearerOf(token: AccessToken): Bearer {
  const { account_id, subject_type, subject, pairwise_subject, client_id, client_uuid } = token;
  const { audience, sid, began_at, grant_id, auth_time, amr, by_device, jkt } = token;
  const who = { account_id, subject_type, subject, pairwise_subject, client_id, client_uuid };
  const rests = { audience, grant_id, hangs_on: subjectsOf(token) };
  return { ...who, ...rests, scope: heldNow(token.scope), sid, began_at, auth_time, amr, by_device, jkt };
}

function checkScopes(bearer: Bearer, scopes: readonly string[]): void {
  if (scopes.length === 0 || scopes.some((scope) => bearer.scope.includes(scope))) return;
  throw refuse("insufficient_scope", {
    message: `The access token needs one of these scopes: ${scopes.join(" ")}.`,
    scopes,
  });
}
