/**
 * Verification codes: how a person proves who they are with a one-time code that was sent by mail or SMS, or that the
 * integrator delivers. A code is only as short as what it is bound to.
 *
 * In: a client's request to send or mint a code, later the code. Out: an `AuthenticatedSubject` and the id of the
 * authorization it began; a code succeeds once, of any number of parallel attempts. Asking for a code never harms one that is
 * pending, and no new code gives a wrong guess back. What may be known about a person (that they exist, that their codes are
 * closed) cannot be read off any answer.
 *
 * `codes/code.ts` says what a code looks like, `redeem-statement.ts` is the one place where it is spent.
 */
import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import { canonicalAudience, OWN_AUDIENCES } from "../../directory/grants/audience.ts";
import { expirySweep } from "../../storage/delete-expired.ts";

/** Codes and login sessions are remembered so long after they expired, to tell a used or late code from none. */
export const REMEMBERED = 24 * 3_600_000;

/** What a code is for, where it is not to log in. */
export type CodePurpose = "password_reset";

/** What a code is bound to beside its client and person: one for another purpose than to log in is good for that alone. */
export function boundAudience(
  { public_url }: Directory,
  account: Account,
  audience: string,
  purpose: CodePurpose | undefined,
): string {
  const canonical = canonicalAudience(account, public_url, audience);
  return purpose === undefined ? canonical : `${OWN_AUDIENCES}${purpose}:${canonical}`;
}

export const codeSweep = expirySweep("verification codes", { table: "verification_codes", key: ["id"] }, REMEMBERED);
export const sessionSweep = expirySweep("login sessions", { table: "login_sessions", key: ["id"] }, REMEMBERED);
