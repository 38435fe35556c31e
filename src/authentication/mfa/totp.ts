import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** Time-based one-time passwords (RFC 6238): SHA-1, 6 digits, 30 seconds, as every authenticator app expects. */
const STEP = 30;
const DIGITS = 6;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export function newSeed(): Uint8Array {
  return randomBytes(20);
}

/** `now` in milliseconds. */
const stepAt = (now: number) => Math.floor(now / 1000 / STEP);

/** RFC 4226 §5.3 */
export function totp(seed: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", seed).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 15;
  const number = mac.readUInt32BE(offset) & 0x7fffffff;
  return String(number % 10 ** DIGITS).padStart(DIGITS, "0");
}

/** The step that a presented password belongs to, this one or a neighbour (RFC 6238 §5.2); undefined when it is none. */
export function matchTotp(seed: Uint8Array, presented: string, now: number): number | undefined {
  if (!/^\d{6}$/.test(presented)) return undefined;
  const current = stepAt(now);
  const right = [current, current - 1, current + 1].filter((step) =>
    timingSafeEqual(Buffer.from(totp(seed, step)), Buffer.from(presented)),
  );
  return right[0];
}

/** RFC 4648 §6, without padding. */
export function base32(bytes: Uint8Array): string {
  let bits = 0;
  let value = 0;
  let text = "";
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      text += BASE32.charAt((value >>> (bits - 5)) & 31);
      bits -= 5;
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + BASE32.charAt((value << (5 - bits)) & 31) : text;
}

/** What an authenticator app reads from a QR code. */
export function otpauthUri(seed: Uint8Array, label: string, issuer: string): string {
  const name = `${encodeURIComponent(issuer)}:${encodeURIComponent(label)}`;
  return `otpauth://totp/${name}?secret=${base32(seed)}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=${DIGITS}&period=${STEP}`;
}
