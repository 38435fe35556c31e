import { hash, timingSafeEqual } from "node:crypto";

export function sha256(data: string | Uint8Array): Uint8Array {
  return hash("sha256", data, "buffer");
}

/** As sha256, in base64url. */
export function sha256Text(data: string | Uint8Array): string {
  return hash("sha256", data, "base64url");
}

type Parts = readonly (string | Uint8Array)[];

/**
 * HMAC-SHA-256 (RFC 2104) over parts that are each prefixed with their length (32 bits, big endian), so that no two different
 * lists of parts share an input.
 */
export function hmac(key: Uint8Array, ...parts: Parts): Uint8Array {
  return hash("sha256", outerOf(key, parts), "buffer");
}

/**
 * As hmac, in hexadecimal. Every code is looked up by one, and a digest that comes as bytes costs twice one that comes
 * as text.
 */
export function hmacHex(key: Uint8Array, ...parts: Parts): string {
  return hash("sha256", outerOf(key, parts), "hex");
}

/** What the second of two one-shot hashes is over: an `Hmac` object costs four times as much. */
function outerOf(key: Uint8Array, parts: Parts): Uint8Array {
  const { inner, outer } = padsOf(key);
  const lengths = parts.map((part) => Buffer.byteLength(part));
  const input = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + 4 + length, BLOCK));
  input.set(inner);
  let at = BLOCK;
  parts.forEach((part, index) => {
    at = input.writeUInt32BE(lengths[index] ?? 0, at);
    if (typeof part === "string") input.write(part, at, "utf8");
    else input.set(part, at);
    at += lengths[index] ?? 0;
  });
  outer.write(hash("sha256", input, "hex"), BLOCK, "hex");
  return outer;
}

/** Bytes that SHA-256 works on at once. */
const BLOCK = 64;

interface Pads {
  readonly inner: Uint8Array;
  /** With room for the inner digest behind it. */
  readonly outer: Buffer;
}

/** A key is made ready once, however often it is used. */
const ready = new WeakMap<Uint8Array, Pads>();

function padsOf(key: Uint8Array): Pads {
  const known = ready.get(key);
  if (known) return known;
  const short = key.length > BLOCK ? hash("sha256", key, "buffer") : key;
  const padded = (mask: number, length: number) => {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < BLOCK; at++) bytes[at] = (short[at] ?? 0) ^ mask;
    return bytes;
  };
  const made = { inner: padded(0x36, BLOCK), outer: padded(0x5c, BLOCK + 32) };
  ready.set(key, made);
  return made;
}

/** Constant time for equal lengths; the length itself is no secret. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

export function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");
}
