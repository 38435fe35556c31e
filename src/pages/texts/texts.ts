/** What one language has to say on the pages. A language is one file here and one line in `languages.ts`. */
export interface Texts {
  /** BCP 47 */
  readonly language: string;
  readonly login: (client: string) => string;
  readonly login_intro: string;
  readonly create: (client: string) => string;
  readonly create_intro: string;
  readonly log_in_with: (host: string) => string;
  readonly identifier: string;
  /** Where the client sends codes to one of the two alone. */
  readonly identifier_email: string;
  readonly identifier_phone: string;
  readonly send_code: string;
  readonly cancel: string;
  readonly enter_code: string;
  readonly code_sent: (to: string) => string;
  /** Where a code goes to everybody, known or not. */
  readonly code_coming: (to: string) => string;
  readonly code: string;
  /** What to look for, whichever of the two was sent; the time is in words of the same language. */
  readonly code_hint: (digits: number, time: string) => string;
  /** … where it comes by e-mail. */
  readonly code_in_spam: string;
  readonly go_on: string;
  readonly resend: string;
  /** Whether or not a message went out. */
  readonly resent: string;
  readonly not_you: string;
  /** Back to the field, where what was typed stands to be mended; where the client sends codes to one of the two alone. */
  readonly another_identifier: string;
  readonly another_email: string;
  readonly another_phone: string;
  readonly second_factor: string;
  readonly second_factor_intro: string;
  /** What the field is for. */
  readonly by_sms: string;
  readonly by_email: string;
  readonly by_app: string;
  /** On buttons. */
  readonly send_by_sms: string;
  readonly send_by_email: string;
  readonly use_app: string;
  /** To whoever goes back to a login, which its application knows or does not. */
  readonly answered: string;
  readonly answered_intro: string;
  readonly choose: string;
  readonly another: string;
  /** Who has neither address, number nor name; and who came from another server. */
  readonly somebody: string;
  readonly somebody_at: (host: string) => string;
  /** Before a time. */
  readonly logged_in: string;
  readonly consent: (client: string) => string;
  /** Before a link to the list of them. */
  readonly consent_intro: string;
  readonly consents: string;
  readonly no_consents: string;
  /** In place of the list of them. */
  readonly nobody_logged_in: string;
  readonly withdraw: string;
  /** What people let in: below what they agreed to, the browsers in which they are logged in. */
  readonly let_in: {
    readonly title: string;
    readonly browsers: string;
    readonly here: string;
    readonly elsewhere: string;
    /** Before a time: when they logged in, and when they were last sent on to an application by that. */
    readonly begun: string;
    readonly used: string;
    /** On buttons: in that browser, in all others, and everybody who is logged in in this one. */
    readonly end: string;
    readonly end_others: string;
    readonly everybody: string;
    /** Below some of them. */
    readonly more: string;
    readonly done: Readonly<Record<"client" | "browser" | "others", string>>;
  };
  /** Of a client that registered itself, before where it comes from: a host, an app or nobody knows where. */
  readonly unchecked: string;
  readonly comes_from: (place: string) => string;
  readonly unknown_home: string;
  readonly consent_at: (place: string) => string;
  /** A place within those sentences: an app has a private-use scheme, and no host. */
  readonly app: (scheme: string) => string;
  /** After where an app is named that anybody's may be. */
  readonly begun_yourself: string;
  readonly allow: string;
  readonly deny: string;
  readonly scopes: Readonly<Record<"openid" | "profile" | "email" | "phone" | "offline_access", string>>;
  readonly scope_of: (audience: string) => string;
  /** Letting a device in that has no browser. */
  readonly device: {
    readonly title: string;
    readonly intro: string;
    readonly code: string;
    readonly wrong: string;
    readonly warning: string;
    readonly done: string;
    readonly done_intro: string;
    readonly refused: string;
    readonly refused_intro: string;
    /** Nothing came of it here; the device may be connected all the same. */
    readonly over: string;
    readonly over_intro: string;
  };
  /** The inbox of a test account. */
  readonly sandbox: {
    readonly title: string;
    readonly login_intro: string;
    readonly may_not: string;
    readonly login: string;
    readonly to: string;
    readonly show: string;
    readonly empty: string;
    /** Before a command that creates one. */
    readonly no_client: string;
  };
  /** The page at the server's own address; `builders` stands before two links. */
  readonly home: Readonly<Record<"intro" | "builders" | "docs" | "ready", string>>;
  readonly signed_out: string;
  readonly signed_out_intro: string;
  readonly sign_out: string;
  readonly sign_out_button: string;
  readonly sign_out_intro: (client: string) => string;
  /** On the button that says no. */
  readonly stay: string;
  readonly stayed: string;
  /** After too much of something; the time, where it is known, is in words of the same language. */
  readonly try_again: (time: string | undefined) => string;
  /** … of asking for codes. */
  readonly code_still_good: string;
  readonly error: string;
  /** Of whole pages, by code; `no_such_address` where no route is, `other` above the sentence for developers. */
  readonly refused: Readonly<Record<"no_such_address" | "not_found" | "access_denied" | "other", string>>;
  readonly reference: string;
  readonly terms: string;
  readonly privacy: string;
  readonly problems: Readonly<Record<Problem, string>>;
}

export type Problem =
  | "invalid_identifier"
  | "invalid_email"
  | "invalid_phone"
  | "invalid_verification_code"
  | "verification_code_used"
  | "verification_code_expired"
  | "too_many_attempts"
  | "too_many_wrong_codes"
  | "too_many_requests"
  | "invalid_grant"
  | "access_denied"
  | "login_changed"
  | "login_over"
  | "upstream_login_failed"
  | "user_not_linked"
  | "failed";
