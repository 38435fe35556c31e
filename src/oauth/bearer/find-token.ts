import { checkOrigin } from "../../directory/clients/allowed-origins.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { judgeClient } from "../../directory/judge.ts";
import { refuse } from "../../errors.ts";
import type { AccessToken } from "../../tokens/verify.ts";
import { type Presented, readProof } from "../dpop/dpop.ts";
import type { Oauth } from "../oauth.ts";
import { challengeOf, comesByProof, noToken } from "./challenge.ts";
import { findAlive } from "./find-alive.ts";

/**
 * As findAlive, out of the Authorization header alone (RFC 6750 §2.1), of whoever may show it.
 *
 * @throws 401 invalid_token, 403 unauthorized_client, with the challenge of RFC 6750 §3.
 */
export async function findToken(
  deps: Pick<Oauth, "directory" | "tokens">,
  account_id: string,
  presented: Presented,
): Promise<AccessToken> {
  const token = bearerToken(presented.authorization);
  try {
    const verified = await findAlive(deps, account_id, token);
    await checkShown(deps.directory, verified, token, presented);
    return verified;
  } catch (error) {
    throw challengeOf(error as Error);
  }
}

/** @throws 401 invalid_token. */
export function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined) throw noToken();
  const [, token] = /^(?:Bearer|DPoP) +([A-Za-z0-9._~+/-]+=*) *$/i.exec(authorization) ?? [];
  if (token === undefined) throw challengeOf(refuse("invalid_token", { detail: "not a bearer token" }));
  return token;
}

/**
 * That whoever shows a token may: it is bound to no key, or to one that they have, and a page is one of its client's.
 *
 * @throws 401 invalid_token, 403 unauthorized_client; 400 invalid_dpop_proof or use_dpop_nonce, which the challenge
 *   makes 401.
 */
export async function checkShown(
  directory: Directory,
  verified: AccessToken,
  token: string,
  presented: Presented,
): Promise<void> {
  await checkHolder(directory, verified, token, presented);
  await checkPage(directory, verified, presented);
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
