/**
 * What a verification code looks like and how it comes to be. No code is stored: it is derived from the challenge of its row,
 * so the very same one can be sent again, and a copy of the database alone yields none.
 *
 * `typable` (10 or 13 Crockford symbols, shown `7KQM4-X2PVD`, 50 or 65 bits) and `link` (43 base64url characters, 256 bits) may
 * be redeemed alone; `numeric` (6 to 9 digits) only together with the person it was sent to. The formats cannot be mistaken for
 * one another, so what a caller presents says by itself how it has to be checked.
 *
 * In: a row's `Challenge`, or what somebody typed. Out: the code as a `Secret`, or its classification and lookup digests.
 */
import { randomBytes } from "node:crypto";
import { base64url, hmac, hmacHex, sameBytes } from "../../secrets/digest.ts";
import type { MasterKeys } from "../../secrets/master-keys.ts";
import { optionalSecret, reveal, type Secret, secret } from "../../secrets/secret.ts";

export type CodeFormat = "typable" | "numeric" | "link";

/** What a code is derived from; every field is a column of `verification_codes`. */
export interface Challenge {
  readonly account_id: string;
  /** 16 random bytes, never shown and never chosen by a caller. */
  readonly challenge_id: Uint8Array;
  readonly key_version: string;
  readonly counter: number;
  readonly format: CodeFormat;
  /** Symbols of a typable code, digits of a numeric one, 43 for a link. */
  readonly length: number;
}

/** Crockford's base 32: no I, L, O and U. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const VERSION = "latchkey/code/v1";

export const TYPABLE_LENGTH = 10;
/** While a client is being guessed against. */
export const LONG_TYPABLE_LENGTH = 13;
export const LINK_LENGTH = 43;

/**
 * The code that a challenge and its counter stand for, without hyphens.
 *
 * @returns undefined when this counter gives none (all digits, or no unbiased number): the next one is tried.
 */
export function deriveCode(
  keys: MasterKeys,
  challenge: Challenge,
  rendering: CodeFormat = challenge.format,
): Secret | undefined {
  const { account_id, challenge_id, key_version, counter, length } = challenge;
  const key = keys.derive(key_version, account_id, "code");
  const bytes = hmac(key, VERSION, account_id, challenge_id, rendering, String(counter));
  return optionalSecret(formatBytes(bytes, rendering, length));
}

/** One of its own for each code: under the current key, with the first counter that gives a code; and that code. */
export function newChallenge(
  keys: MasterKeys,
  like: Pick<Challenge, "account_id" | "format" | "length">,
): { readonly challenge: Challenge; readonly code: Secret } {
  const begun = { ...like, challenge_id: randomBytes(16), key_version: keys.current, counter: 0 };
  const { counter, code } = firstCode(keys, begun);
  return { challenge: { ...begun, counter }, code };
}

/** The first counter from `challenge.counter` on that gives a code, with that code. */
export function firstCode(keys: MasterKeys, challenge: Challenge): { readonly counter: number; readonly code: Secret } {
  for (let { counter } = challenge; ; counter++) {
    const code = deriveCode(keys, { ...challenge, counter });
    if (code) return { counter, code };
  }
}

/** Pure: 32 uniform bytes to a uniform code, or undefined. */
export function formatBytes(bytes: Uint8Array, rendering: CodeFormat, length: number): string | undefined {
  switch (rendering) {
    case "link":
      return base64url(bytes);
    case "numeric":
      return digits(bytes, length);
    case "typable":
      return symbols(bytes, length);
  }
}

/** 256 is a multiple of 32, so the low five bits of a byte are uniform. Never all digits. */
function symbols(bytes: Uint8Array, length: number): string | undefined {
  let text = "";
  for (const byte of bytes.subarray(0, length)) text += ALPHABET.charAt(byte & 31);
  return /^\d+$/.test(text) ? undefined : text;
}

/** Rejection sampling over 32-bit words: every number of so many digits is equally likely. */
function digits(bytes: Uint8Array, length: number): string | undefined {
  const range = 10 ** length;
  const limit = Math.floor(2 ** 32 / range) * range;
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 4 <= bytes.byteLength; at += 4) {
    const word = words.getUint32(at);
    if (word < limit) return String(word % range).padStart(length, "0");
  }
  return undefined;
}

/** As a person reads it: `7KQM4-X2PVD`; digits and links as they are. */
export function showCode(code: Secret, format: CodeFormat): Secret {
  if (format !== "typable") return code;
  const text = reveal(code);
  return secret(`${text.slice(0, 5)}-${text.slice(5)}`);
}

/** What somebody presented. `malformed` was never issued by anybody; it is still a guess. */
export interface PresentedCode {
  readonly kind: CodeFormat | "malformed";
  /** Canonical: upper case, without hyphens and spaces. */
  readonly code: Secret;
  readonly length: number;
}

/** Case, hyphens and spaces do not matter; O is 0, I and L are 1 (but not in a link). */
export function normaliseCode(presented: Secret): PresentedCode {
  const raw = reveal(presented).trim();
  if (/^[A-Za-z0-9_-]{43}$/.test(raw)) return { kind: "link", code: secret(raw), length: raw.length };
  const text = raw.replace(/[\s-]/g, "").toUpperCase();
  if (/^\d{6,9}$/.test(text)) return { kind: "numeric", code: secret(text), length: text.length };
  const typed = text.replaceAll("O", "0").replace(/[IL]/g, "1");
  const known = /^([0-9A-HJKMNP-TV-Z]{10}|[0-9A-HJKMNP-TV-Z]{13})$/.test(typed);
  return { kind: known ? "typable" : "malformed", code: secret(typed), length: typed.length };
}

/** Whether somebody typed the code of a challenge, compared in constant time. */
export function isCode(keys: MasterKeys, challenge: Challenge, typed: Secret): boolean {
  const code = deriveCode(keys, challenge);
  const given = normaliseCode(typed).code;
  return code !== undefined && sameBytes(Buffer.from(reveal(code)), Buffer.from(reveal(given)));
}

/** Whom a numeric code was made for: part of its digest, so that it is found nowhere else. */
export interface Binding {
  readonly account_id: string;
  /** The client's uuid. */
  readonly client_id: string;
  readonly audience: string;
  readonly person: string;
}

/**
 * The digest under which a code's row is found, in hexadecimal. A numeric code is found only with everything it is bound to. A
 * typable code or link is found by itself and then compared with its row, so that a used one is noticed in anybody's hands.
 */
export function codeDigestHex(
  keys: MasterKeys,
  version: string,
  binding: Binding,
  format: CodeFormat,
  code: Secret,
): string {
  const { account_id, client_id, audience, person } = binding;
  const key = keys.derive(version, account_id, "code-lookup");
  if (format === "numeric") return hmacHex(key, format, account_id, client_id, audience, person, reveal(code));
  return hmacHex(key, format, account_id, reveal(code));
}

/** As codeDigestHex, in bytes. */
export function codeDigest(...code: Parameters<typeof codeDigestHex>): Uint8Array {
  return Buffer.from(codeDigestHex(...code), "hex");
}
