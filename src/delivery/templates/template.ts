/**
 * What messages say, a file a language; `languages.ts` finds the one for a person.
 *
 * In: a client's name, a code, and for how many minutes it works. Out: plain text, of which `render.ts` makes a mail,
 * escaped, or an SMS.
 */
import type { MessagePurpose } from "../delivery.ts";

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
  readonly purposes: Readonly<Record<MessagePurpose, Words>>;
  /** Below the code. */
  readonly lifetime: (minutes: number) => string;
  readonly not_you: string;
  readonly link: string;
  /** After what an SMS says of the code. */
  readonly sms_lifetime: (minutes: number) => string;
}
