import { createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from "node:crypto";

export function sha256(data: string | Uint8Array): Uint8Array {
  return hash("sha256", data, "buffer");
}

/** As sha256, in base64url. */
export function sha256Text(data: string | Uint8Array): string {
  return hash("sha256", data, "base64url");
}

/**
 * HMAC-SHA-256 over parts that are each prefixed with their length (32 bits, big endian), so that no two different lists
 * of parts share an input.
 */
export function hmac(key: Uint8Array, ...parts: readonly (string | Uint8Array)[]): Uint8Array {
  const lengths = parts.map((part) => Buffer.byteLength(part));
  const input = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + 4 + length, 0));
  let at = 0;
  parts.forEach((part, index) => {
    at = input.writeUInt32BE(lengths[index] ?? 0, at);
    if (typeof part === "string") input.write(part, at, "utf8");
    else input.set(part, at);
    at += lengths[index] ?? 0;
  });
  return createHmac("sha256", keyObject(key)).update(input).digest();
}

/** A key is made ready once, however often it is used. */
const ready = new WeakMap<Uint8Array, KeyObject>();

function keyObject(key: Uint8Array): KeyObject {
  const known = ready.get(key);
  if (known) return known;
  const made = createSecretKey(key);
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
