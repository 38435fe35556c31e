/**
 * Delivery: how a code reaches a person, by mail or SMS. Templates say it in the person's language, providers hand it over,
 * the sandbox keeps what a test account would have sent.
 *
 * In: an outbox row about a code, and a function that derives the code. Out: sent, once a provider took responsibility; an
 * error that says why not, without a word of the message.
 *
 * A language is one file in `templates/` and one line in `templates/languages.ts`. SMS end in the origin-bound line
 * `@host #code`, so that a phone fills the code in on that host alone.
 */
import type { Secret } from "../secrets/secret.ts";

/**
 * What a message is about. `numeric_closed`: wrong guesses in the person's name closed numeric codes; the typable one inside
 * still logs them in. `page_guessed`: the guesses were at the hosted login. That one and a `LoginChange` hold no code.
 */
export type MessagePurpose =
  | "login"
  | "signup"
  | "numeric_closed"
  | "page_guessed"
  | "second_factor"
  | "password_reset"
  | "contact"
  | "account_signup"
  | LoginChange;

/** What is other than it was about how a person logs in. */
export type LoginChange =
  | "contact_changed"
  | "password_changed"
  | "user_name_added"
  | "user_name_changed"
  | "user_name_removed"
  | "factor_added"
  | "factor_removed";

/** What a message about a code has to say; lies in the outbox. */
export interface CodeNotice {
  readonly purpose: MessagePurpose;
  /** What else changed at once, where the purpose is a `LoginChange`. */
  readonly further?: readonly LoginChange[];
  readonly connection: string;
  readonly strategy: "email" | "sms";
  readonly to: string | null;
  /** BCP 47 */
  readonly locale: string;
  readonly client_name: string;
  /** Seconds; what is left of the code's life when the message was enqueued. */
  readonly lifetime: number;
  /** Where the code is entered in a browser, without a port; null where that is not known. */
  readonly host: string | null;
}

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: Secret;
  readonly html: Secret;
  /** uuid of the outbox row: the same at every attempt. */
  readonly id: string;
  readonly language: string;
}

export interface Sms {
  /** E.164 */
  readonly to: string;
  readonly text: Secret;
  /** uuid of the outbox row: the same at every attempt. */
  readonly id: string;
  readonly account_id: string;
}

export interface MailProvider {
  /** Resolves once the receiving server took responsibility. */
  send(mail: Mail, signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface SmsProvider {
  send(sms: Sms, signal: AbortSignal): Promise<void>;
}
