/**
 * User names: people who log in with a name of the account's choosing and a password, with links that say which customer they
 * are and where their binding codes go.
 *
 * In: a name, a password and links. Out: a user whose `users` row everything hangs on; the name is free again when deleted.
 */
export interface Link {
  readonly rel: "customers_user" | "phone_number" | "email";
  /** `https://…/users/{customer_id}`, `tel:+47…` or `mailto:…`. */
  readonly href: string;
}

export interface UsernameMfa {
  readonly challenge_type: "oob";
  readonly oob_channels?: ("sms" | "email")[];
}

export interface Username {
  readonly account_id: string;
  readonly id: string;
  readonly username: string;
  readonly user_id: string;
  readonly links: readonly Link[];
  readonly mfa: UsernameMfa | null;
  readonly created_at: string;
  readonly created_by: string | null;
  readonly updated_at: string;
  readonly deleted_at: string | null;
  readonly deleted_by: string | null;
}

/** Live names of one person. What changes for all of them is done in one transaction, which nobody else is to wait long for. */
export const MOST_NAMES = 20;

/** As it is shown: one text for what looks alike, whatever keyboard it was typed on (RFC 8265 §3.3.2). */
export const stableName = (username: string): string => username.normalize("NFC");

/** What it is found by: upper and lower case name the same person (RFC 8265 §3.3). */
export const canonicalName = (username: string): string => stableName(stableName(username).toLowerCase());
