/**
 * The master keys of this installation, newest first, and the keys derived from them. A version is named by a fingerprint
 * of the key itself, so dropping an old key never renames another. Derivation is HKDF-SHA-256 (RFC 5869) with the account
 * and the purpose in `info`; derived keys are kept, up to a number of them.
 */
import { createHash, hkdfSync } from "node:crypto";

/** What a derived key is for; part of its derivation. */
export type KeyPurpose =
  | "code"
  | "code-lookup"
  | "identifier"
  | "seal"
  | "refresh"
  | "authorization-code"
  | "mfa"
  | "signup"
  | "dpop-nonce"
  | "session"
  | "device"
  | "pairwise";

export interface MasterKeys {
  /** The version that new rows are written under. */
  readonly current: string;
  readonly versions: readonly string[];
  /** @throws MissingMasterKey when the version is not among the configured keys. */
  derive(version: string, account_id: string, purpose: KeyPurpose): Uint8Array;
}

export class MissingMasterKey extends Error {
  constructor(version: string) {
    super(`master key version ${version} is not configured`);
  }
}

/** Of all accounts together: to derive one takes microseconds, to keep it the better part of a kilobyte. */
const MOST_DERIVED = 20_000;

export function masterKeys(keys: readonly Uint8Array[]): MasterKeys {
  const byVersion = new Map(keys.map((key) => [fingerprint(key), key]));
  const derived = new Map<string, Uint8Array>();
  const versions = [...byVersion.keys()];
  const current = versions[0];
  if (current === undefined) throw new Error("at least one master key is needed");
  return {
    current,
    versions,
    derive(version, account_id, purpose) {
      const name = `${version}/${account_id}/${purpose}`;
      const known = derived.get(name);
      if (known) return known;
      const master = byVersion.get(version);
      if (!master) throw new MissingMasterKey(version);
      const key = new Uint8Array(hkdfSync("sha256", master, "latchkey", `${purpose}\0${account_id}`, 32));
      if (derived.size >= MOST_DERIVED) derived.clear();
      derived.set(name, key);
      return key;
    },
  };
}

function fingerprint(key: Uint8Array): string {
  return createHash("sha256").update("latchkey/master-key-version").update(key).digest("hex").slice(0, 8);
}
