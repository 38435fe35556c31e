/**
 * Second factors: a person whose first factor was right shows another one before anything is issued. Factors are a TOTP app,
 * SMS and (named e-mail, never out-of-band) a code by mail; two factors are always different ones.
 *
 * In: an `AuthenticatedSubject` after its first factor, with whatever the caller will continue with. Out: `mfa_required` with
 * an mfa_token that holds both, sealed; later, once, both again. A stolen mfa_token, oob_code or binding code alone is
 * worth nothing, and wrong binding codes and passwords of a person are counted together.
 */
import type { MasterKeys } from "../../secrets/master-keys.ts";
import type { Storage } from "../../storage/storage.ts";
import type { AuthenticatedSubject } from "../subject.ts";

export interface Mfa {
  readonly storage: Storage;
  readonly master_keys: MasterKeys;
  /** A message was enqueued. */
  nudge(): void;
}

export type FactorKind = "totp" | "sms" | "email";
export type OobChannel = "sms" | "email";

/** A login between its two factors; lives sealed inside the mfa_token. */
export interface PendingLogin {
  readonly id: string;
  readonly subject: AuthenticatedSubject;
  /** The client's uuid, and the grant that tokens will be issued under. */
  readonly client_id: string;
  readonly grant_id: string;
  /** A forgotten password: the first of two channels finishes nothing yet. */
  readonly recovery: boolean;
  /** How far the first factor reached, so that the second is another one. */
  readonly first: FactorKind | "pwd";
  /** The caller's own: what to go on with. */
  readonly continuation: unknown;
  /** Milliseconds since the epoch. */
  readonly expires_at: number;
}

/** One challenge by SMS or mail; lives sealed inside the oob_code. The binding code is derived from it. */
export interface OobChallenge {
  readonly login_id: string;
  readonly channel: OobChannel;
  /** base64url */
  readonly challenge_id: string;
  readonly key_version: string;
  readonly counter: number;
  readonly expires_at: number;
}

/** What proved the first factor, read off its amr (RFC 8176). */
export function firstFactor(amr: readonly string[]): PendingLogin["first"] {
  if (amr.includes("pwd") || amr.includes("pin")) return "pwd";
  return amr.includes("sms") ? "sms" : "email";
}
