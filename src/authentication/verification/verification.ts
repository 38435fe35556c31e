/**
 * Verification codes: how a person proves who they are with a one-time code that was sent by mail or SMS, or that the
 * integrator delivers. A code is only as short as what it is bound to.
 *
 * In: a client's request to send or mint a code, later the code. Out: an `AuthenticatedSubject` and the id of the
 * authorization it began; a code succeeds once, of any number of parallel attempts. Asking for a code never harms one that is
 * pending, and no new code gives a wrong guess back. What may be known about a person (that they exist, that their codes are
 * closed) cannot be read off any answer.
 *
 * `code.ts` says what a code looks like, `redeem-statement.ts` is the one place where it is spent.
 */
import type { Account } from "../../directory/accounts/account.ts";
import type { UserType } from "../../directory/clients/client.ts";
import type { MasterKeys } from "../../secrets/master-keys.ts";
import type { Storage, Transaction } from "../../storage/storage.ts";
import type { FoundUser } from "./redeem-statement.ts";

/** Who a redeemed code signs up: an address or number that the code has just verified. */
export interface SignUp {
  readonly account_id: string;
  readonly type: UserType;
  readonly email: string | null;
  /** E.164 */
  readonly phone_number: string | null;
  /** BCP 47; what the person's messages were written in. */
  readonly locale: string | null;
  /** The code that verified it. */
  readonly code_id: string;
  readonly now: number;
}

/** What other rooms do for this one; `server.ts` hands it in. */
export interface Verification {
  readonly storage: Storage;
  readonly master_keys: MasterKeys;
  /** One name for an audience whatever alias of it was asked for. */
  canonicalAudience(account: Account, audience: string): string;
  /** Ends what an authorization led to: `sid:…`. */
  revoke(account_id: string, subject: string): Promise<void>;
  /** Creates the user, or finds the one who took that address or number in the meantime. */
  signUp(tx: Transaction, person: SignUp): Promise<FoundUser>;
  /** A message was enqueued: the outbox need not wait for its next look. */
  nudge(): void;
}

/** What a code is for, where it is not to log in. */
export type CodePurpose = "password_reset";

/** What a code is bound to beside its client and person: one for another purpose than to log in is good for that alone. */
export function boundAudience(
  { canonicalAudience }: Verification,
  account: Account,
  audience: string,
  purpose: CodePurpose | undefined,
): string {
  const canonical = canonicalAudience(account, audience);
  return purpose === undefined ? canonical : `urn:latchkey:${purpose}:${canonical}`;
}

export function openVerification(doors: Verification): Verification {
  return doors;
}
