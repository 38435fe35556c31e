/**
 * Addresses and numbers that a user proves to be theirs: a code goes there, and comes back. One that is already in the record
 * becomes verified; another one takes its place, and the old one is told.
 *
 * In: a user, a field and perhaps a new value; later the code. Out: a record whose address or number may log in.
 */
import type { Account } from "../../directory/accounts/account.ts";
import type { User } from "../../directory/users/user.ts";
import type { VerifiedField } from "../../directory/users/verify-contact.ts";
import { expirySweep } from "../../storage/delete-expired.ts";

export interface Contact {
  readonly account: Account;
  readonly user: User;
  readonly field: VerifiedField;
  /** Second factors that went to what is left go along: not for somebody who acts for themselves and has shown none. */
  readonly moves_factors: boolean;
}

export interface ContactChallenge {
  readonly account_id: string;
  readonly user_id: string;
  readonly field: VerifiedField;
  /** Canonical. */
  readonly value: string;
  readonly challenge_id: Uint8Array;
  readonly key_version: string;
  readonly counter: number;
  readonly length: number;
  readonly created_at: string;
  readonly expires_at: string;
}

/** Digits of the code; it counts only for the user who asked. */
export const CONTACT_CODE_LENGTH = 6;
/** Milliseconds. */
export const CONTACT_LIFETIME = 600_000;
/** Whom wrong codes are counted against: not what guards the person's password. */
export const contactGuesser = (user_id: string) => `contact ${user_id}`;

/** An hour after they expired. */
export const contactSweep = expirySweep(
  "address changes",
  { table: "contact_challenges", key: ["user_id", "field"] },
  3_600_000,
);
