/**
 * Tokens bound to a key that the client keeps (DPoP, RFC 9449): whoever steals such a token cannot use it. Each request carries a
 * proof, signed for that very request; a proof works once, within a minute, and holds a nonce of ours.
 *
 * In: a request and its proof. Out: the thumbprint of the key (RFC 7638), to bind a token to or to compare with, and
 * what spends the proof once the rest of the request is right. Nothing is kept but which proofs were used; nonces are
 * derived from the time.
 */

import type { FastifyRequest } from "fastify";
import { useStatement } from "../../authentication/used-tokens.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { refuse } from "../../errors.ts";
import { isBadJwt } from "../../secrets/bad-jwt.ts";
import { base64url, hmac, sameBytes, sha256Text } from "../../secrets/digest.ts";
import type { MasterKeys } from "../../secrets/master-keys.ts";
import { asymmetric_algs, isUsable } from "../../secrets/public-key.ts";
import { instant, type Storage } from "../../storage/storage.ts";

/** What a request shows of itself and of who sends it. */
export interface Presented {
  readonly authorization?: string | undefined;
  /** The header DPoP. */
  readonly proof?: string | undefined;
  /** Of the page that calls, where one does. */
  readonly origin?: string | undefined;
  readonly method: string;
  /** Without its query. */
  readonly path: string;
}

export function presentedBy({ headers, method, originalUrl }: FastifyRequest): Presented {
  const { authorization, dpop, origin } = headers as { authorization?: string; dpop?: string; origin?: string };
  return { authorization, proof: dpop, origin, method, path: originalUrl.split("?", 1)[0] ?? "" };
}

const UNUSABLE = "its key is malformed, or RSA of more than 4,096 bits or with an exponent of more than 32";
/** A proof is taken so long before and after the time that it names; seconds. */
const SKEW = 60;
/** Its jti is remembered so long; milliseconds. */
const MEMORY = 300_000;
/** A nonce is handed out so long, and taken once more as long; milliseconds. */
const NONCE_WINDOW = 120_000;

/** A proof that is right, but for whether it was used before. */
export interface Proof {
  /** The thumbprint of its key. */
  readonly jkt: string;
  /**
   * Says that it was used: behind every check that needs no writing, so that whoever can get nothing leaves nothing,
   * and before whatever else the request spends. @throws 400 invalid_dpop_proof when it was used before.
   */
  spend(): Promise<void>;
}

/**
 * Checks a proof (RFC 9449 §4.3). With `access_token` it must be for that token (`ath`).
 *
 * @throws 400 invalid_dpop_proof, use_dpop_nonce.
 */
export async function readProof(
  { storage, master_keys, public_url }: Directory,
  account_id: string,
  { proof = "", method, path }: Presented,
  access_token?: string,
): Promise<Proof> {
  const { calculateJwkThumbprint, decodeProtectedHeader, EmbeddedJWK, jwtVerify } = await import("jose");
  const now = storage.now();
  try {
    const expected = { typ: "dpop+jwt", algorithms: asymmetric_algs, requiredClaims: ["jti", "htm", "htu", "iat"] };
    const { jwk } = decodeProtectedHeader(proof);
    if (jwk && !isUsable(jwk)) throw invalid(UNUSABLE);
    // Its time is checked below, both ways.
    const { payload } = await jwtVerify(proof, EmbeddedJWK, { ...expected, currentDate: new Date(now) });
    if (!jwk || "d" in jwk) throw invalid("it carries a private key");
    const { htm, htu, iat = 0, jti, ath, nonce } = payload;
    if (htm !== method) throw invalid("htm is another method");
    if (typeof htu !== "string" || addressOf(htu) !== `${public_url}${path}`) throw invalid("htu is another address");
    if (!(Math.abs(now / 1000 - iat) <= SKEW)) throw invalid("iat is not now");
    if (access_token !== undefined && ath !== sha256Text(access_token)) throw invalid("ath is of another token");
    if (!isNonce(master_keys, account_id, nonce, now)) {
      throw refuse("use_dpop_nonce", { headers: nonceHeader(master_keys, account_id, now) });
    }
    if (typeof jti !== "string") throw invalid("jti is no text");
    const jkt = await calculateJwkThumbprint(jwk);
    return { jkt, spend: () => spend(storage, account_id, `dpop ${jkt} ${sha256Text(jti)}`) };
  } catch (error) {
    if (isBadJwt(error)) throw invalid("it is no proof", error);
    throw error;
  }
}

async function spend(storage: Storage, account_id: string, id: string): Promise<void> {
  const expires_at = instant(storage.now() + MEMORY);
  if (!(await storage.hot(useStatement, { account_id, id, expires_at }))) throw invalid("it was used before");
}

/**
 * The proof that came to an endpoint of clients, if one did. Asked for before the client is authenticated: a client that is
 * told to use a nonce makes a new proof and sends the rest again (RFC 9449 §8), so nothing of that may be spent by then.
 *
 * @throws as readProof.
 */
export async function shownProof(
  directory: Directory,
  account_id: string,
  presented: Presented,
): Promise<Proof | undefined> {
  return presented.proof === undefined ? undefined : readProof(directory, account_id, presented);
}

/** @throws 400 invalid_dpop_proof when the client takes bound tokens alone, and no proof came. */
export function checkProofCame({ settings }: Client, proof: Proof | undefined): void {
  if (settings.dpop_bound_access_tokens && proof === undefined)
    throw refuse("invalid_dpop_proof", { message: "This client's tokens are bound to a key: send DPoP." });
}

/** The nonce of now, for whoever sends the next proof. */
export const nonceHeader = (keys: MasterKeys, account_id: string, now: number) => ({
  "dpop-nonce": nonceAt(keys, keys.current, account_id, now),
});

function nonceAt(keys: MasterKeys, version: string, account_id: string, now: number): string {
  const window = String(Math.floor(now / NONCE_WINDOW));
  return base64url(hmac(keys.derive(version, account_id, "dpop-nonce"), window).subarray(0, 16));
}

function isNonce(keys: MasterKeys, account_id: string, nonce: unknown, now: number): boolean {
  if (typeof nonce !== "string") return false;
  const given = Buffer.from(nonce);
  return keys.versions.some((version) =>
    [now, now - NONCE_WINDOW].some((at) => sameBytes(Buffer.from(nonceAt(keys, version, account_id, at)), given)),
  );
}

/** Without query and fragment (RFC 9449 §4.3); as a browser would write it. */
function addressOf(htu: string): string {
  if (!URL.canParse(htu)) return "";
  const { origin, pathname } = new URL(htu);
  return `${origin}${pathname}`;
}

function invalid(why: string, cause?: unknown) {
  return refuse("invalid_dpop_proof", {
    message: `The DPoP proof is not valid: ${why}.`,
    ...(cause === undefined ? {} : { cause }),
  });
}
