import type { PendingLogin } from "../../authentication/mfa/mfa.ts";
import { openLogin } from "../../authentication/mfa/open-login.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import { refuse, refuseField } from "../../errors.ts";
import { secret } from "../../secrets/secret.ts";
import type { Caller } from "../caller.ts";
import type { AuthorizeRequest } from "./schema.ts";

/** What is remembered of a request whose code was right: all but the code. */
export function continuationOf({ verification_code: _code, ...request }: AuthorizeRequest): object {
  return { kind: "authorize", request };
}

export function begunBy({ continuation }: PendingLogin): AuthorizeRequest {
  return (continuation as { request: AuthorizeRequest }).request;
}

/** What only the first request says; its client comes by either of its names. */
const REPEATED = [
  ...(["audience", "response_type", "redirect_uri", "state", "nonce", "scope"] as const),
  ...(["code_challenge", "code_challenge_method"] as const),
] as const;

/**
 * The request that this one finishes, where it comes with an mfa_token in place of a code. What it repeats has to be the same.
 *
 * @throws 400 invalid_request, 400 invalid_grant, 403 insufficient_scope.
 */
export async function resume(
  directory: Directory,
  { bearer, now }: Caller,
  request: AuthorizeRequest,
): Promise<PendingLogin | undefined> {
  if (request.mfa_token === undefined) return undefined;
  if (request.verification_code !== undefined) {
    throw refuseField("verification_code", "excluded", "and mfa_token exclude each other");
  }
  const pending = await openLogin(directory, bearer.account_id, secret(request.mfa_token), now);
  checkActsFor(bearer, { id: pending.client_id });
  const { kind, request: begun } = pending.continuation as { kind: string; request?: AuthorizeRequest };
  const client = await lookUpClient(directory, bearer.account_id, request.client_id);
  const same = begun && REPEATED.every((name) => request[name] === undefined || request[name] === begun[name]);
  // A client that is gone by now is known by the name that it had; that it is gone is said next.
  const of_client = client ? client.id === pending.client_id : request.client_id === begun?.client_id;
  if (kind !== "authorize" || !same || !of_client) {
    throw refuse("invalid_grant", { message: "mfa_token belongs to another request." });
  }
  return pending;
}
