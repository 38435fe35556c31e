import { randomUUID } from "node:crypto";
import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import { type Refusal, refuse } from "../../errors.ts";
import type { MasterKeys } from "../../secrets/master-keys.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import { sealTicket } from "../../secrets/ticket.ts";
import { forgiveFirst } from "../guesses/guess.ts";
import type { AuthenticatedSubject } from "../subject.ts";
import { asksForFactor, factorsOf, isShown } from "./factors.ts";
import { firstFactor, LONGEST_PERSON, loginTicket, MFA_LIFETIME, type PendingLogin } from "./mfa.ts";

export interface FirstFactor {
  readonly account: Account;
  readonly client: { readonly id: string; readonly settings: { readonly user_type: string } };
  readonly grant_id: string;
  readonly subject: AuthenticatedSubject;
  /** What the caller goes on with once the second factor was shown. */
  readonly continuation: () => object;
  readonly now: number;
}

/**
 * Lets a person pass who has shown all that is asked of them.
 *
 * @throws 403 mfa_required with mfa_token beside the error; 403 access_denied when the person has no factor that differs
 *   from the one they used.
 */
export async function requireFactor(directory: Directory, login: FirstFactor): Promise<void> {
  const pending = await pendingAfter(directory, login);
  if (pending) throw mfaRequired(directory.master_keys, login.account.account_id, pending);
}

/** Of a caller that asks nobody for a second factor a right code is the success that it is of others with both. */
export async function passWithOne(
  { storage }: Directory,
  account_id: string,
  { user_id, second_factor, amr }: AuthenticatedSubject,
): Promise<void> {
  const first = firstFactor(amr);
  if (!second_factor || (first !== "sms" && first !== "email")) return;
  await storage.write((tx) => forgiveFirst(tx, { account_id, budget: "numeric_guess", subject: user_id }));
}

/** The login that has to go on with a second factor; undefined where none is asked for. @throws 403 access_denied. */
export async function pendingAfter(
  directory: Directory,
  { account, client, grant_id, subject, continuation, now }: FirstFactor,
): Promise<PendingLogin | undefined> {
  const first = firstFactor(subject.amr);
  if (!asksForFactor(account, subject.second_factor, first, client.settings.user_type)) return undefined;
  const factors = await factorsOf(directory, account, subject, first);
  if (factors.every(({ kind }) => isShown(kind, first, subject))) {
    throw refuse("access_denied", {
      message: "A second factor is required, and this person has none that differs from the first.",
    });
  }
  const expires_at = now + MFA_LIFETIME;
  const about = { subject, client_id: client.id, grant_id, continuation: continuation(), expires_at };
  return { id: randomUUID(), ...about, first, recovery: false };
}

export function sealLogin(keys: MasterKeys, account_id: string, pending: PendingLogin): Secret {
  const hidden = { part: pending.subject.user_id, longest: LONGEST_PERSON };
  return sealTicket(keys, loginTicket(account_id), pending, hidden);
}

export function mfaRequired(keys: MasterKeys, account_id: string, pending: PendingLogin): Refusal {
  return refuse("mfa_required", { beside: { mfa_token: reveal(sealLogin(keys, account_id, pending)) } });
}
