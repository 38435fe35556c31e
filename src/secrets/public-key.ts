import type { JSONWebKeySet, JWK } from "jose";

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

/** Without the members that some write as null; undefined for what is no key at all. */
function keyIn(entry: unknown): JWK | undefined {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) return undefined;
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== null)) as JWK;
}

/** Those of somebody's keys that may be used (RFC 7517 §5); what is no set of keys stays as it is. */
export function usableOf(set: Readonly<Record<string, unknown>>): JSONWebKeySet {
  const { keys } = set;
  if (!Array.isArray(keys)) return set as unknown as JSONWebKeySet;
  return { ...set, keys: keys.map(keyIn).filter((key) => key !== undefined && isUsable(key)) } as JSONWebKeySet;
}
