import type { Directory } from "../../directory/directory.ts";
import { type Refusal, refuse } from "../../errors.ts";
import type { Revocations } from "../../revocation/revocation.ts";
import { sha256Text } from "../../secrets/digest.ts";
import type { AuthorizationCode } from "../authorization-code.ts";
import type { CodeRequest } from "./redeem-code.ts";
import { endStolen } from "./spend-code.ts";
import { selectRedeemed } from "./store.ts";

/** That a code is this client's, bound to what it shows, and not over. @throws 400 invalid_grant. */
export async function checkPresented(
  directory: Directory,
  content: AuthorizationCode,
  request: CodeRequest,
  now: number,
): Promise<void> {
  const { client, redirect_uri, code_verifier, proof } = request;
  const { client_uuid, dpop_jkt: promised } = content.authorization;
  if (client_uuid !== client.id) return endStolen(directory, content, request);
  checkBinding(content, redirect_uri, code_verifier);
  if (promised !== undefined && promised !== proof?.jkt) throw invalidGrant("The code is bound to another DPoP key.");
  if (content.expires_at > now) return;
  if (await selectRedeemed(directory.storage.read, client.account_id, content.id))
    return endStolen(directory, content, request);
  throw invalidGrant("The authorization code has expired.");
}

/**
 * Pure. Whoever proves possession by PKCE need not repeat redirect_uri, which OAuth 2.1 no longer knows here
 * (draft-ietf-oauth-v2-1 §10.2). @throws 400 invalid_grant.
 */
function checkBinding(
  content: AuthorizationCode,
  redirect_uri: string | undefined,
  code_verifier: string | undefined,
): void {
  const { redirect_uri_named, code_challenge } = content;
  const required = redirect_uri_named && code_challenge === undefined;
  if (redirect_uri === undefined ? required : redirect_uri !== content.redirect_uri) {
    throw invalidGrant("redirect_uri is not the one of the authorization request.");
  }
  if (code_challenge === undefined) {
    if (code_verifier !== undefined)
      throw invalidGrant("code_verifier was sent, but the authorization had no code_challenge.");
    return;
  }
  const wellFormed = /^[A-Za-z0-9._~-]{43,128}$/.test(code_verifier ?? "");
  if (!wellFormed || sha256Text(code_verifier ?? "") !== code_challenge)
    throw invalidGrant("code_verifier does not match the code_challenge.");
}

/** @throws 400 invalid_grant when the authorization was ended; 503 when nobody knows. */
export function checkUnrevoked(
  revocations: Revocations,
  account_id: string,
  { sid, subject, began_at }: AuthorizationCode["authorization"],
): void {
  const login = began_at === undefined ? undefined : { subject: subject.id, sid, began_at };
  try {
    revocations.checkAlive(account_id, [`sid:${sid}`], login);
  } catch (error) {
    if ((error as Refusal).code !== "invalid_token") throw error;
    throw invalidGrant("The authorization was revoked.");
  }
}

function invalidGrant(message: string): Refusal {
  return refuse("invalid_grant", { message });
}
