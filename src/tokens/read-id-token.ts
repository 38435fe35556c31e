import { parseJws, verifyJws } from "./jws.ts";
import { keyNamed } from "./keys/find-key.ts";
import type { Tokens } from "./tokens.ts";

export interface ReadIdToken {
  readonly sub: string;
  readonly sid?: string;
  /** The client's registered client_id. */
  readonly azp?: string;
}

/**
 * What an ID token that this account signed says, however old it is: a hint about whom somebody means, never a
 * credential (OpenID Connect Core §3.1.2.1). @returns undefined when it is none; "key_gone" when it names a key that
 * the account does not have, or has no more: then nobody can tell.
 */
export async function readIdToken(
  tokens: Tokens,
  issuer: string,
  account_id: string,
  id_token: string,
): Promise<ReadIdToken | "key_gone" | undefined> {
  const jws = parseJws(id_token);
  if (jws?.header.typ !== "JWT") return undefined;
  const { iss, sub, exp, sid, azp } = jws.claims;
  // An ID token has an end, which what userinfo signs has not: one kind of JWT is not taken for another (RFC 8725 §3.12).
  if (iss !== issuer || typeof sub !== "string" || typeof exp !== "number") return undefined;
  const key = await keyNamed(tokens, account_id, jws.header.kid);
  if (!key) return "key_gone";
  if (!verifyJws(key.public_key, key.alg, jws)) return undefined;
  return { sub, ...(typeof sid === "string" ? { sid } : {}), ...(typeof azp === "string" ? { azp } : {}) };
}
