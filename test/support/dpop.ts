/** A key to which tokens can be bound (RFC 9449), and proofs of it for any request of an account. */
import { createHash, randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";

export interface ProofKey {
  readonly jwk: JWK;
  readonly private_jwk: JWK;
  proof(claims?: Record<string, unknown>, header?: { typ?: string; jwk?: JWK }, htu?: string): Promise<string>;
}

export async function openKey(issuer: string): Promise<ProofKey> {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(publicKey);
  return {
    jwk,
    private_jwk: await exportJWK(privateKey),
    proof: (claims = {}, header = {}, htu = "/oauth/token") =>
      new SignJWT({
        htm: "POST",
        htu: `${issuer}${htu}`,
        jti: randomUUID(),
        iat: Math.floor(Date.now() / 1000),
        ...claims,
      })
        .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk, ...header })
        .sign(privateKey),
  };
}

/** What a proof says of the token that it goes with. */
export const athOf = (access_token: string) => createHash("sha256").update(access_token).digest("base64url");
