/** What one language has to say. Every function gets plain text and returns plain text; escaping is the renderer's. */
export interface Template {
  /** BCP 47 */
  readonly language: string;
  readonly subject: (client: string) => string;
  readonly signup_subject: (client: string) => string;
  readonly closed_subject: (client: string) => string;
  /** Above the code. */
  readonly login: (client: string) => string;
  readonly signup: (client: string) => string;
  readonly closed: (client: string) => string;
  /** Below the code. */
  readonly lifetime: (minutes: number) => string;
  readonly not_you: string;
  readonly link: string;
  readonly sms: (client: string, code: string, minutes: number) => string;
}
