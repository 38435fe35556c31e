/**
 * Tokens bound to a key that the client keeps (DPoP, RFC 9449): whoever steals such a token cannot use it. Each request carries a
 * proof, signed for that very request; a proof works once, within a minute, and holds a nonce of ours.
 *
 * In: a request and its proof. Out: the thumbprint of the key (RFC 7638), to bind a token to or to compare with. Nothing is kept
 * but which proofs were used; nonces are derived from the time.
 */

import type { FastifyRequest } from "fastify";
import { useStatement } from "../../authentication/used-tokens.ts";
import type { Directory } from "../../directory/directory.ts";
import { refuse } from "../../errors.ts";
import { isBadJwt } from "../../secrets/bad-jwt.ts";
import { base64url, hmac, sameBytes, sha256Text } from "../../secrets/digest.ts";
import type { MasterKeys } from "../../secrets/master-keys.ts";
import { asymmetric_algs, isUsable } from "../../secrets/public-key.ts";
import { instant } from "../../storage/storage.ts";

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

export function presentedBy({ headers, method, url }: FastifyRequest): Presented {
  const { authorization, dpop, origin } = headers as { authorization?: string; dpop?: string; origin?: string };
  return { authorization, proof: dpop, origin, method, path: url.split("?", 1)[0] ?? "" };
}

const UNUSABLE = "its key is malformed, or RSA of more than 4,096 bits or with an exponent of more than 32";
/** A proof is taken so long before and after the time that it names; seconds. */
const SKEW = 60;
/** Its jti is remembered so long; milliseconds. */
const MEMORY = 300_000;
/** A nonce is handed out so long, and taken once more as long; milliseconds. */
const NONCE_WINDOW = 120_000;

/** What a proof that is right shows, before it is spent. */
export interface Proof {
  /** The thumbprint of its key. */
  readonly jkt: string;
  readonly jti: string;
}

/**
 * Checks a proof and spends it (RFC 9449 §4.3). With `access_token` it must be for that token (`ath`).
 *
 * @returns the thumbprint of its key. @throws 400 invalid_dpop_proof, use_dpop_nonce.
 */
export async function checkProof(
  directory: Directory,
  account_id: string,
  presented: Presented,
  access_token?: string,
): Promise<string> {
  return useProof(directory, account_id, await readProof(directory, account_id, presented, access_token));
}

/** Checks everything of a proof but whether it was used before. @throws as checkProof. */
async function readProof(
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
    return { jkt: await calculateJwkThumbprint(jwk), jti };
  } catch (error) {
    if (isBadJwt(error)) throw invalid("it is no proof", error);
    throw error;
  }
}

async function useProof({ storage }: Directory, account_id: string, { jkt, jti }: Proof): Promise<string> {
  const expires_at = instant(storage.now() + MEMORY);
  const used = { account_id, id: `dpop ${jkt} ${sha256Text(jti)}`, expires_at };
  if (!(await storage.hot(useStatement, used))) throw invalid("it was used before");
  return jkt;
}

/**
 * The proof that came to an endpoint of clients, if one did. Asked for before the client is authenticated: a client that is
 * told to use a nonce makes a new proof and sends the rest again (RFC 9449 §8), so nothing of that may be spent by then.
 *
 * @throws as checkProof.
 */
export async function shownProof(
  directory: Directory,
  account_id: string,
  presented: Presented,
): Promise<Proof | undefined> {
  return presented.proof === undefined ? undefined : readProof(directory, account_id, presented);
}

/** Spends the proof: the key that tokens are to be bound to, if the request showed one. @throws 400 invalid_dpop_proof. */
export async function keyOf(
  directory: Directory,
  account_id: string,
  proof: Proof | undefined,
  required: boolean,
): Promise<string | undefined> {
  if (proof !== undefined) return useProof(directory, account_id, proof);
  if (required) throw refuse("invalid_dpop_proof", { message: "This client's tokens are bound to a key: send DPoP." });
  return undefined;
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
