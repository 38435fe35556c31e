/**
 * Second factors: a person whose first factor was right shows another one before anything is issued. Factors are a TOTP app,
 * SMS and a code by mail; two factors are always different ones.
 *
 * In: an `AuthenticatedSubject` after its first factor, with whatever the caller will continue with. Out: `mfa_required` with
 * an mfa_token that holds both, sealed; later, once, both again. A stolen mfa_token, oob_code or binding code alone is
 * worth nothing. Wrong passwords of a person and wrong factors after a right one are counted together, other factors apart.
 *
 * A forgotten password is recovered over two channels: such a login begins without a first factor, and its first channel
 * becomes one.
 */
import type { TicketKind } from "../../secrets/ticket.ts";
import type { AuthenticatedSubject } from "../subject.ts";

export type FactorKind = "totp" | "sms" | "email";
export type OobChannel = "sms" | "email";

export interface Asker {
  /** A keyed digest of the name that was given. */
  readonly identifier: string;
  /** Where they are; null when nothing is known. */
  readonly source: string | null;
}

/** A login between its two factors; lives sealed inside the mfa_token. */
export interface PendingLogin {
  readonly id: string;
  /** Of nobody, when the name given at recovery is unknown: it looks the same and ends nowhere. */
  readonly subject: AuthenticatedSubject;
  /** The client's uuid, and the grant that tokens will be issued under. */
  readonly client_id: string;
  readonly grant_id: string;
  /** What is proved already; the second factor is another one. */
  readonly first: FactorKind | "pwd" | "upstream" | "nothing";
  /** The person recovers a forgotten password, so the channels of their record serve as well. */
  readonly recovery: boolean;
  /** Who began a recovery: until something is proved, its messages are counted by what that person sent. */
  readonly asker?: Asker;
  /** The caller's own: what to go on with. */
  readonly continuation: unknown;
  /** `MFA_LIFETIME` after it showed what it has shown so far; milliseconds since the epoch. */
  readonly expires_at: number;
}

/** One challenge by SMS or mail; lives sealed inside the oob_code. The binding code is derived from it. */
export interface OobChallenge {
  readonly login_id: string;
  readonly channel: OobChannel;
  /** Where the binding code went; null where there was nobody to send it to. */
  readonly target: string | null;
  /** base64url */
  readonly challenge_id: string;
  readonly key_version: string;
  readonly counter: number;
}

/** An mfa_token and every oob_code under it are good so long; milliseconds. */
export const MFA_LIFETIME = 600_000;
/** When a login showed what it has shown so far, or began without that; milliseconds since the epoch. */
export const shownAt = ({ expires_at }: Pick<PendingLogin, "expires_at">): number => expires_at - MFA_LIFETIME;
/** Digits of a binding code. */
export const BINDING_LENGTH = 6;

/** What the person of a recovery takes of an mfa_token, known or not; bytes. */
export const LONGEST_PERSON = 48;
/** What the address or number that a binding code goes to takes of an oob_code, where there is one or not; bytes. */
export const LONGEST_TARGET = 520;

export const loginTicket = (account_id: string): TicketKind => ({ account_id, purpose: "mfa", kind: "mfa_token/v1" });
export const oobTicket = (account_id: string): TicketKind => ({ account_id, purpose: "mfa", kind: "oob_code/v1" });

/** What proved the first factor, read off its amr (RFC 8176). */
export function firstFactor(amr: readonly string[]): PendingLogin["first"] {
  if (amr.includes("pwd") || amr.includes("pin")) return "pwd";
  if (!amr.includes("otp")) return "upstream";
  return amr.includes("sms") ? "sms" : "email";
}
