/**
 * Accounts and owners: the tenants of this server. A `P` account is production, a `T` account is a test account whose mail
 * and SMS never leave its sandbox. Three digits name an owner (partner), eight an account; `T112` and `T11200000` are one
 * tenant, and the canonical name is the letter with eight digits.
 *
 * In: an account id in either form. Out: an `Account` with every setting filled in.
 */
import type { SigningAlg } from "../../secrets/signing-alg.ts";

/** Every setting of an account; durations in seconds unless named otherwise. */
export interface AccountSettings {
  readonly signing_alg: SigningAlg;
  readonly access_token_lifetime: number;
  /** ID tokens that travel in a redirect. */
  readonly redirect_id_token_lifetime: number;
  /** How long a new signing key is published before it signs. */
  readonly key_publication_lead: number;
  readonly api_audiences: readonly string[];
  readonly code_lifetime: number;
  readonly numeric_code_length: number;
  /** Wrong numeric guesses of one person in a window. */
  readonly numeric_guess_limit: number;
  /** Wrong typable or link guesses against one client in 10 minutes. */
  readonly typable_guess_limit: number;
  readonly spray_guess_limit: number;
  readonly client_sends_per_minute: number;
  /** ISO 3166-1 alpha-2; empty means the account's own `country`. */
  readonly sms_countries: readonly string[];
  readonly country: string;
  readonly sms_daily_budget: number;
  readonly allowed_test_recipients: readonly string[];
  readonly locale: string;
}

export interface Account {
  readonly account_id: string;
  readonly name: string;
  readonly settings: AccountSettings;
  readonly created_at: string;
  readonly updated_at: string;
}

export function isTestAccount(account_id: string): boolean {
  return account_id.startsWith("T");
}

/** `T112` → `T11200000`; a full id stays as it is. */
export function canonicalAccountId(oid: string): string {
  return oid.length === 4 ? `${oid}00000` : oid;
}
