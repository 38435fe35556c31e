import type { JWTVerifyOptions, JWTVerifyResult } from "jose";
import type { Client } from "../../directory/clients/client.ts";
import { type Documents, PATIENCE, withKeysAt } from "../../egress/documents.ts";
import { asymmetric_algs, usableOf } from "../../secrets/public-key.ts";

/**
 * Checks what a client signed with one of its keys, as they are registered or lie at its address.
 *
 * @returns undefined when it has no keys. @throws what JOSE says is wrong; 400 upstream_login_failed when its keys cannot be had.
 */
export async function verifyByClient(
  documents: Documents,
  { settings: { jwks, jwks_uri } }: Client,
  jwt: string,
  rules: JWTVerifyOptions,
): Promise<JWTVerifyResult | undefined> {
  const { createLocalJWKSet, jwtVerify } = await import("jose");
  const verify = (keys: Readonly<Record<string, unknown>>) =>
    jwtVerify(jwt, createLocalJWKSet(usableOf(keys)), { algorithms: asymmetric_algs, ...rules });
  if (jwks) return verify(jwks);
  return jwks_uri === null ? undefined : withKeysAt(documents, jwks_uri, AbortSignal.timeout(PATIENCE), verify);
}
