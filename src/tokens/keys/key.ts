/**
 * Signing keys of an account. A new key is published before it signs, so that every verifier has it in time, and verifies
 * for the longest token's life after it retired. The private half is sealed under the master key.
 *
 * In: an account and an algorithm. Out: the key that signs now, the public keys to check with, and the JWKS to publish
 * (RFC 7517). The first key of an algorithm is made when it is first needed, and signs at once.
 */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { base64url, sha256 } from "../../secrets/digest.ts";
import type { MasterKeys } from "../../secrets/master-keys.ts";
import { seal, unseal } from "../../secrets/seal.ts";
import type { SigningAlg } from "../../secrets/signing-alg.ts";
import type { Instant } from "../../storage/storage.ts";
import type { Tokens } from "../tokens.ts";
import type { StoredKey } from "./store.ts";

export interface SigningKey {
  readonly account_id: string;
  readonly kid: string;
  readonly alg: SigningAlg;
  /** Public members only, with `kid`, `alg` and `use`. */
  readonly public_jwk: Jwk;
  readonly public_key: KeyObject;
  readonly private_key: KeyObject;
  /** Signs from then on, and until `retired_at`; in milliseconds, since every request compares them. */
  readonly active_at: number;
  readonly retired_at: number;
  /** Verifies until then. */
  readonly expires_at: number;
}

export interface Jwk {
  readonly kty: string;
  readonly kid: string;
  readonly alg: SigningAlg;
  readonly use: "sig";
  readonly [member: string]: string;
}

const generate = promisify(generateKeyPair) as (type: string, options: object) => Promise<{ privateKey: KeyObject }>;

/** Made off the event loop; the kid is the key's RFC 7638 thumbprint. */
export async function makeKey(
  keys: MasterKeys,
  account_id: string,
  alg: SigningAlg,
  times: KeyTimes,
): Promise<StoredKey> {
  const privateKey = await newPrivateKey(alg);
  const members = publicMembers(privateKey);
  const kid = base64url(sha256(JSON.stringify(members)));
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" });
  const public_jwk = { ...members, kid, alg, use: "sig" } as Jwk;
  return { account_id, kid, alg, public_jwk, private_key: seal(keys, keyContext(account_id, kid), pkcs8), ...times };
}

/**
 * The same, when those are made that others asked for before. @throws 503 temporarily_unavailable when too many wait.
 */
export const makeKeyInTurn = (
  { master_keys, making }: Pick<Tokens, "master_keys" | "making">,
  account_id: string,
  alg: SigningAlg,
  times: KeyTimes,
): Promise<StoredKey> => making(alg, () => makeKey(master_keys, account_id, alg, times));

export interface KeyTimes {
  readonly created_at: Instant;
  readonly active_at: Instant;
  readonly retired_at: Instant | null;
  readonly expires_at: Instant | null;
}

async function newPrivateKey(alg: SigningAlg): Promise<KeyObject> {
  switch (alg) {
    case "ES256":
      return (await generate("ec", { namedCurve: "P-256" })).privateKey;
    case "EdDSA":
      return (await generate("ed25519", {})).privateKey;
    case "RS256":
      return (await generate("rsa", { modulusLength: 2048 })).privateKey;
  }
}

/** The members that RFC 7638 §3.2 hashes, in its order. */
function publicMembers(privateKey: KeyObject): Record<string, string> {
  const { kty = "", crv, e, n, x, y } = createPublicKey(privateKey).export({ format: "jwk" });
  const members = { crv, e, kty, n, x, y };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Record<
    string,
    string
  >;
}

/** @throws when the master key that sealed it is not configured. */
export function openKey(keys: MasterKeys, row: StoredKey): SigningKey {
  const pkcs8 = Buffer.from(unseal(keys, keyContext(row.account_id, row.kid), row.private_key));
  const private_key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const { account_id, kid, alg, public_jwk } = row;
  return { account_id, kid, alg, public_jwk, private_key, public_key: createPublicKey(private_key), ...timesOf(row) };
}

/** What has no end yet ends never. */
export function timesOf({ active_at, retired_at, expires_at }: KeyTimes) {
  const end = (at: Instant | null) => (at === null ? Number.POSITIVE_INFINITY : Date.parse(at));
  return { active_at: Date.parse(active_at), retired_at: end(retired_at), expires_at: end(expires_at) };
}

/** What a private key is sealed for. */
export const keyContext = (account_id: string, kid: string) =>
  ({ account_id, purpose: "seal", subject: `signing_keys/${kid}` }) as const;
