/**
 * Sign-up: somebody opens an account of their own under an owner that allows it. Their address is verified first; what they
 * say about their company is kept as given.
 *
 * In: an applicant; later the code from their mail. Out: an account with a first-party client and the applicant as its account
 * user, who may administer it.
 */
import { expirySweep } from "../../storage/delete-expired.ts";
import type { Instant } from "../../storage/storage.ts";

export interface Signup {
  /** The owner's. */
  readonly account_id: string;
  readonly id: string;
  readonly email: string;
  readonly applicant: Readonly<Record<string, unknown>>;
  readonly digest: Uint8Array;
  readonly challenge_id: Uint8Array;
  readonly key_version: string;
  readonly counter: number;
  readonly created_at: Instant;
  readonly expires_at: Instant;
  readonly verified_at: Instant | null;
  readonly created_account_id: string | null;
}

/** Milliseconds. */
export const SIGNUP_LIFETIME = 3_600_000;

/** An hour after they expired. */
export const signupSweep = expirySweep("sign-ups", { table: "signups", key: ["id"] }, 3_600_000);
