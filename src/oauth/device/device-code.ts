/**
 * Devices without a browser (RFC 8628): a device gets two codes, one to poll with and a short one that a person types on a page
 * of ours. They log in there as everywhere, and are always asked: whoever sends a stranger such a code wants to be let in.
 *
 * In: what a client asks for on behalf of its device. Out: once somebody allows it, an authorization code that the next poll
 * redeems, so that everything which holds for codes holds here.
 */
import { randomBytes, randomInt } from "node:crypto";
import { base64url, hmac, sha256 } from "../../secrets/digest.ts";
import type { MasterKeys } from "../../secrets/master-keys.ts";
import { reveal, type Secret, secret } from "../../secrets/secret.ts";
import { expirySweep } from "../../storage/delete-expired.ts";
import type { Instant } from "../../storage/storage.ts";
import type { Target } from "../target.ts";

/** What a device asks for, as an authorization request says it: the browser that its code is typed in goes on so. */
export interface DeviceParameters extends Target {
  /** A page of ours. */
  readonly redirect_uri: string;
  readonly redirect_uri_named: false;
  readonly response_mode: "query";
  readonly openid: boolean;
  readonly prompt: readonly [];
  readonly ui_locales: readonly [];
  readonly two_factors: false;
  /** The id of the request. */
  readonly device: string;
}

export interface DeviceRequest {
  readonly account_id: string;
  /** uuid */
  readonly id: string;
  /** The client's uuid. */
  readonly client_id: string;
  readonly parameters: DeviceParameters;
  readonly state: "pending" | "approved" | "denied";
  /**
   * Once approved, what an authorization code stands for, as JSON: the code itself is made when the device asks, so
   * that none is kept.
   */
  readonly answer: string | null;
  /** Milliseconds between two polls. */
  readonly poll_interval: number;
  readonly polled_at: Instant | null;
  readonly created_at: Instant;
  readonly expires_at: Instant;
}

/** Both codes live so long; milliseconds. */
export const DEVICE_CODE_LIFETIME = 600_000;
/** How often a device may ask at first, and how much slower after each time that it was too quick; milliseconds. */
export const INTERVAL = 5_000;

/** No vowels, so that no words come about; nothing that looks like something else (RFC 8628 §6.1). */
const LETTERS = "BCDFGHJKLMNPQRSTVWXZ";
const LENGTH = 8;

export const newDeviceCode = (): Secret => secret(base64url(randomBytes(32)));

export const deviceDigest = (code: Secret): Uint8Array => sha256(reveal(code));

/** As a person reads it: two groups of four. */
export function newUserCode(): string {
  const letters = Array.from({ length: LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join("");
  return `${letters.slice(0, 4)}-${letters.slice(4)}`;
}

/** Case, spaces and hyphens do not count. @returns undefined when it cannot be one. */
export function readUserCode(text: string): string | undefined {
  const letters = text.toUpperCase().replace(/[\s-]/g, "");
  const good = letters.length === LENGTH && [...letters].every((letter) => LETTERS.includes(letter));
  return good ? `${letters.slice(0, 4)}-${letters.slice(4)}` : undefined;
}

/** Under every key that may have been current when the code was made, the newest first. */
export function userCodeDigests(keys: MasterKeys, account_id: string, user_code: string): readonly Uint8Array[] {
  return keys.versions.map((version) => hmac(keys.derive(version, account_id, "device"), "user-code", user_code));
}

/** An hour after they expired: a device that asks late hears that its code has expired, and begins anew. */
export const deviceSweep = expirySweep("device codes", { table: "device_codes", key: ["id"] }, 3_600_000);
