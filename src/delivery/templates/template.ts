/**
 * What messages say, a file a language; `languages.ts` finds the one for a person.
 *
 * In: a client's name, a code, and for how many minutes it works, or what changed, and when. Out: plain text, of which `render.ts` makes a mail,
 * escaped, or an SMS.
 */
import type { LoginChange, MessagePurpose } from "../delivery.ts";

export interface Words {
  readonly subject: (client: string) => string;
  /** Above the code, or all there is to say where there is none. */
  readonly intro: (client: string) => string;
  /** All that an SMS says of the code but how long it works; where it is left out, there is no code. */
  readonly sms?: (client: string, code: string) => string;
}

/** What one language has to say; every function gets plain text, too. */
export interface Template {
  /** BCP 47 */
  readonly language: string;
  readonly purposes: Readonly<Record<Exclude<MessagePurpose, LoginChange>, Words>>;
  /** Of what changed about how a person logs in: a sentence each, when that was, and what to do about it. */
  readonly changed: {
    readonly subject: (client: string) => string;
    readonly what: Readonly<Record<LoginChange, (client: string) => string>>;
    /** `day` is `2026-11-30`, `time` is `23:44 UTC`. */
    readonly at: (day: string, time: string) => string;
    readonly not_you: (client: string) => string;
  };
  /** Below the code. */
  readonly lifetime: (minutes: number) => string;
  readonly not_you: string;
  readonly link: string;
  /** After what an SMS says of the code. */
  readonly sms_lifetime: (minutes: number) => string;
}
