import type { JSONWebKeySet, JWK } from "jose";

/** What others may sign with: nothing that a shared secret could forge. */
export const asymmetric_algs = ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"];

/** What a public key says in text (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2). */
const TEXTS = ["kty", "crv", "x", "y", "n", "e", "alg", "use", "kid"] as const;
/** base64url characters: of 4,096 bits, and of one byte that some write before them. */
const LONGEST_MODULUS = 684;
/** base64url characters of 32 bits. */
const LONGEST_EXPONENT = 6;

/**
 * Whether a public key that somebody else made may be used. Whoever makes an RSA key chooses with its modulus and its
 * exponent what a check costs, and checks wait in one pool with signatures and writes to disk; another key costs what
 * its curve does. What is no text where text belongs may be nested deeper than whoever reads it has stack; null is
 * as good as nothing.
 */
export function isUsable(key: JWK): boolean {
  const key_ops: unknown = key.key_ops ?? [];
  if (!Array.isArray(key_ops)) return false;
  if (![...TEXTS.map((name) => key[name] ?? ""), ...key_ops].every((said) => typeof said === "string")) return false;
  return (key.n ?? "").length <= LONGEST_MODULUS && (key.e ?? "").length <= LONGEST_EXPONENT;
}

/**
 * Those of somebody's keys that may be used (RFC 7517 §5), each with what is read of it alone; what is no set of keys is
 * none here either.
 */
export function usableOf({ keys }: Readonly<Record<string, unknown>>): JSONWebKeySet {
  if (!Array.isArray(keys)) return { keys } as unknown as JSONWebKeySet;
  return { keys: keys.filter((key) => isKey(key) && isUsable(key)).map(readOf) };
}

const isKey = (entry: unknown): entry is JWK => typeof entry === "object" && entry !== null && !Array.isArray(entry);

/** Whatever else lies beside it may be many times larger in memory than it was as text. */
function readOf(key: JWK): JWK {
  const said = ([...TEXTS, "key_ops"] as const).filter((name) => (key[name] ?? null) !== null);
  return Object.fromEntries(said.map((name) => [name, key[name]]));
}
