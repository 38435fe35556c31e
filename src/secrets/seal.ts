import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { KeyPurpose, MasterKeys } from "./master-keys.ts";

/** What a sealed value belongs to. It is authenticated, so a value moved to another row or account does not open. */
export interface SealContext {
  readonly account_id: string;
  readonly purpose: KeyPurpose;
  /** Names the row or the kind of value, for example `signing_keys/{kid}`. */
  readonly subject: string;
}

const NONCE = 12;
const TAG = 16;
/** Bytes at the beginning of a sealed value that name the version of its key. */
export const VERSION = 8;

/** AES-256-GCM under the current master key: version (8 hex characters) ‖ nonce (12) ‖ tag (16) ‖ ciphertext. */
export function seal(keys: MasterKeys, context: SealContext, plaintext: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv("aes-256-gcm", keys.derive(keys.current, context.account_id, context.purpose), nonce);
  cipher.setAAD(Buffer.from(context.subject, "utf8"));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([Buffer.from(keys.current, "latin1"), nonce, cipher.getAuthTag(), ciphertext]);
}

/** @throws when the value was sealed for something else, was changed, or under a key that is no longer configured. */
export function unseal(keys: MasterKeys, context: SealContext, sealed: Uint8Array): Uint8Array {
  const bytes = Buffer.from(sealed);
  const version = sealedVersion(sealed);
  const nonce = bytes.subarray(VERSION, VERSION + NONCE);
  const tag = bytes.subarray(VERSION + NONCE, VERSION + NONCE + TAG);
  const key = keys.derive(version, context.account_id, context.purpose);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG });
  decipher.setAAD(Buffer.from(context.subject, "utf8"));
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(bytes.subarray(VERSION + NONCE + TAG)), decipher.final()]);
}

/** The master key version that a value was sealed under; `keys reseal` moves those that are not current. */
export function sealedVersion(sealed: Uint8Array): string {
  return Buffer.from(sealed).subarray(0, VERSION).toString("latin1");
}
