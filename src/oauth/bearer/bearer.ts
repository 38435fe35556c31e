/**
 * The bearer hook: who calls, checked in full before anything else of a request is read (RFC 6750, RFC 9068 §4). Installed
 * once; each route says in its contract which scopes and subject types it accepts.
 *
 * In: the path's account and the Authorization header. Out: `request.account_id` and `request.bearer`; or 400 for an `oid`
 * that is none, 401 for a token that is missing, foreign or dead, 403 for one that is not enough.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { canonicalAccountId, issuerOf } from "../../directory/accounts/account.ts";
import { lookUpAccount } from "../../directory/accounts/find-account.ts";
import type { Directory } from "../../directory/directory.ts";
import { isAccountApi } from "../../directory/grants/audience.ts";
import { type Refusal, refuse, refuseField } from "../../errors.ts";
import type { Bearer } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import type { Tokens } from "../../tokens/tokens.ts";
import { type AccessToken, subjectsOf, verifyAccessToken } from "../../tokens/verify.ts";

export interface BearerDeps {
  readonly directory: Directory;
  readonly tokens: Tokens;
}

export function requireBearer(app: App, deps: BearerDeps): void {
  app.decorateRequest("account_id", "");
  app.decorateRequest("found_bearer", null);
  app.decorateRequest("bearer", {
    getter(this: FastifyRequest) {
      if (!this.found_bearer) throw new Error(`${this.routeOptions.url} is public and has no bearer`);
      return this.found_bearer;
    },
  });
  app.addHook("onRequest", async (request, reply) => authenticate(deps, request, reply));
}

declare module "fastify" {
  interface FastifyRequest {
    found_bearer: Bearer | null;
  }
}

async function authenticate(deps: BearerDeps, request: FastifyRequest, _reply: FastifyReply): Promise<void> {
  const { config } = request.routeOptions;
  const { oid } = (request.params ?? {}) as { oid?: string };
  if (oid !== undefined) request.account_id = readAccountId(oid);
  if (config.public || config.scopes === undefined) return;
  const bearer = await findBearer(deps, request.account_id, request.headers.authorization);
  const accepted = config.subject_types ?? ["client"];
  if (!accepted.includes(bearer.subject_type)) {
    if (config.foreign_subject === "invalid_token") throw challenge(refuse("invalid_token"));
    throw refuse("insufficient_scope", { message: `This operation takes a ${accepted.join(" or ")}'s token.` });
  }
  checkScopes(bearer, config.scopes);
  request.found_bearer = bearer;
}

function readAccountId(oid: string): string {
  const account_id = canonicalAccountId(oid);
  if (!account_id) throw refuseField("oid", "pattern", "is P or T and then three or eight digits");
  return account_id;
}

/** @throws 401 invalid_token, the same for an account that does not exist and a token that is not its. */
async function findBearer(
  { directory, tokens }: BearerDeps,
  account_id: string,
  authorization: string | undefined,
): Promise<Bearer> {
  if (authorization === undefined) throw challenge(undefined);
  const [, token] = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i.exec(authorization) ?? [];
  if (token === undefined) throw challenge(refuse("invalid_token", { detail: "not a bearer token" }));
  const account = await lookUpAccount(directory, account_id);
  if (!account) throw challenge(refuse("invalid_token", { detail: "no such account" }));
  const issuer = issuerOf(directory.public_url, account_id);
  try {
    const verified = await verifyAccessToken(tokens, account_id, issuer, token, directory.storage.now());
    if (!isAccountApi(account, directory.public_url, verified.audience))
      throw refuse("invalid_token", { detail: "of another audience" });
    directory.revocations.checkAlive(account_id, subjectsOf(verified));
    return bearerOf(verified);
  } catch (error) {
    throw challenge(error as Error);
  }
}

function bearerOf({ account_id, subject_type, subject, client_id, client_uuid, ...token }: AccessToken): Bearer {
  const { scope, sid, grant_id, auth_time, amr } = token;
  return { account_id, subject_type, subject, client_id, client_uuid, scope, sid, grant_id, auth_time, amr };
}

/** RFC 6750 §3: without any credentials the challenge names no error. */
function challenge(error: Error | undefined): Error {
  if (error === undefined) {
    const headers = { "www-authenticate": 'Bearer realm="latchkey"' };
    return refuse("invalid_token", { message: "An access token is required: Authorization: Bearer …", headers });
  }
  const { code, options, message } = error as Refusal;
  if (code !== "invalid_token") return error;
  const headers = {
    "www-authenticate": `Bearer realm="latchkey", error="invalid_token", error_description="${message}"`,
  };
  return refuse("invalid_token", { ...options, headers });
}

function checkScopes(bearer: Bearer, scopes: readonly string[]): void {
  if (scopes.length === 0 || scopes.some((scope) => bearer.scope.includes(scope))) return;
  throw refuse("insufficient_scope", {
    message: `The access token needs one of these scopes: ${scopes.join(" ")}.`,
    headers: { "www-authenticate": `Bearer realm="latchkey", error="insufficient_scope", scope="${scopes.join(" ")}"` },
  });
}
