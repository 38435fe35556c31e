/**
 * Sessions: browsers in which somebody is logged in. One cookie an account and browser, of 32 random bytes, kept as a digest; it
 * changes at every login, so that a fixed or stolen older one is worth nothing. Several people may be logged in in one
 * browser, each with a session of their own.
 *
 * In: a browser's cookie, later an `AuthenticatedSubject`. Out: who is logged in there, since when, and how they showed it.
 * A session ends when it lies idle, when its time is over, and with its person (NIST SP 800-63B §7).
 */
import { randomBytes } from "node:crypto";
import type { UserType } from "../../directory/clients/client.ts";
import { TOKENS_LIVE } from "../../revocation/revocation.ts";
import { base64url, sha256 } from "../../secrets/digest.ts";
import { type Secret, secret } from "../../secrets/secret.ts";
import { expirySweep } from "../../storage/delete-expired.ts";
import type { Instant } from "../../storage/storage.ts";

export interface NewSession {
  readonly account_id: string;
  /** uuid; `sid` of ID tokens and logout tokens. */
  readonly id: string;
  readonly user_id: string;
  /** Milliseconds since the epoch. */
  readonly auth_time: number;
  /** RFC 8176 */
  readonly amr: readonly string[];
  /** Issuer of the other server that logged them in; what it says counts at clients that ask it, and nowhere else. */
  readonly provider: string | null;
  readonly created_at: Instant;
  readonly idle_expires_at: Instant;
  readonly expires_at: Instant;
}

export interface Session extends NewSession {
  /** Clients log in one type of user each. */
  readonly user_type: UserType;
  /** It followed its browser to a cookie that has not been shown yet. */
  readonly unsettled: boolean;
}

/**
 * When somebody was last sent on to an application by it, in milliseconds: since then it may lie idle for `idle_lifetime`, in
 * seconds. Where the account has changed that meanwhile it is out by the difference, though never before the login.
 */
export function lastUsed(
  { auth_time, created_at, idle_expires_at }: Session,
  idle_lifetime: number,
  now: number,
): number {
  const begun = Math.max(auth_time, Date.parse(created_at));
  return Math.min(now, Math.max(begun, Date.parse(idle_expires_at) - idle_lifetime * 1000));
}

/** What the cookie of a browser holds, and the digest by which the browser is known. */
export function newBrowser(): { readonly cookie: Secret; readonly digest: Uint8Array } {
  const cookie = base64url(randomBytes(32));
  return { cookie: secret(cookie), digest: sha256(cookie) };
}

/** @returns undefined when no browser of ours holds such a cookie. */
export function readBrowser(cookie: string | undefined): Uint8Array | undefined {
  return cookie !== undefined && /^[A-Za-z0-9_-]{43}$/.test(cookie) ? sha256(cookie) : undefined;
}

/** What a session led to is known until every access token of it is over, so that taking back consent ends those too. */
export const browserSweeps = [
  expirySweep("browser sessions", { table: "sessions", key: ["id"] }, TOKENS_LIVE),
  expirySweep(
    "authorizations of sessions",
    { table: "session_authorizations", key: ["session_id", "sid"] },
    TOKENS_LIVE,
  ),
];
