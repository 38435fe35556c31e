/**
 * Every budget of this server in one table: how often anyone may try what, counted against whom. One that depends only
 * on what the caller sent answers 429; one that depends on the record is silent, so that the caller cannot notice it.
 *
 * `limit` is the default where an account's or client's setting may say otherwise; `window` in seconds. A subject is an id or
 * a keyed digest, never an address or number.
 */
export interface Budget {
  readonly limit: number;
  readonly window: number;
  /** What is counted, and against whom. */
  readonly counts: string;
}

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;

export const budgets = {
  // These depend only on what the caller sent.
  send_identifier_source: {
    limit: 5,
    window: 15 * MINUTE,
    counts:
      "requests naming one identifier, from one source; recoveries apart, and what a hosted login asks for in place of a code that was closed, here and below",
  },
  send_identifier: {
    limit: 20,
    window: HOUR,
    counts: "requests naming one identifier, without those in its pause",
  },
  send_pause: {
    limit: Number.POSITIVE_INFINITY,
    window: 30,
    counts:
      "requests for one login over one connection: refuses nobody, but for so long nothing more is sent there, nor is more taken of what its recipient may get",
  },
  send_source: { limit: 50, window: HOUR, counts: "requests from one source" },
  send_site: { limit: 1_000, window: HOUR, counts: "requests from one IPv6 site (/48), all of its networks together" },
  send_client: {
    limit: 600,
    window: MINUTE,
    counts: "requests for one client; apart from these, sends that callers have of their own",
  },
  send_own: {
    limit: 5,
    window: HOUR,
    counts:
      "requests naming one identifier, by one caller that administers the account or one browser that knows the person, without those in its pause",
  },
  send_refused: {
    limit: 100,
    window: HOUR,
    counts: "sends of one client that are the first to be refused in a window: so many leave an audit event",
  },
  code_mint: {
    limit: 5,
    window: 10 * MINUTE,
    counts: "live codes minted for one user and client; requests wait for each other here",
  },
  numeric_guess: { limit: 10, window: HOUR, counts: "wrong numeric codes of one person" },
  page_guess: { limit: 20, window: HOUR, counts: "wrong codes of any kind at one hosted login" },
  page_source: {
    limit: 50,
    window: HOUR,
    counts: "wrong codes and providers' answers at hosted logins from one source: so many leave an audit event",
  },
  page_site: { limit: 1_000, window: HOUR, counts: "the same from one IPv6 site (/48), all of its networks together" },
  factor_guess: {
    limit: 10,
    window: HOUR,
    counts:
      "wrong passwords of one person, and second factors after a right one; apart from these second factors after a code or a provider, first channels of a recovery, and what is shown to change a password",
  },
  factor_source: { limit: 20, window: MINUTE, counts: "guesses at passwords and second factors from one source" },
  factor_site: { limit: 400, window: MINUTE, counts: "those from one IPv6 site (/48), all of its networks together" },
  upstream_source: {
    limit: 20,
    window: MINUTE,
    counts: "attempts at a provider's login on our pages, from one browser, of which nothing came",
  },
  upstream_under_way: {
    limit: 200,
    window: MINUTE,
    counts:
      "attempts at a provider's login on our pages that have not come right yet, from one browser in which somebody has logged in, or one address",
  },
  factor_send: {
    limit: 5,
    window: 15 * MINUTE,
    counts:
      "binding codes sent for one person, from one source or IPv6 site (/48), from one browser that knows them, or from where nothing is known; codes for their new addresses, and for sign-ups, apart",
  },
  factor_send_all: {
    limit: 30,
    window: HOUR,
    counts:
      "binding codes sent for one person, without those from browsers that know them: more than one source may have",
  },
  request_source: {
    limit: 600,
    window: MINUTE,
    counts:
      "authorization requests that are kept for a login, from one browser in which somebody has logged in, or one address; those that clients without a secret push, and their devices', too",
  },
  request_site: {
    limit: 12_000,
    window: MINUTE,
    counts: "the same from one IPv6 site (/48), all of its networks together",
  },
  device_guess: { limit: 10, window: 10 * MINUTE, counts: "wrong device codes from one browser" },
  device_source: { limit: 50, window: HOUR, counts: "wrong device codes from one source" },
  device_site: { limit: 1_000, window: HOUR, counts: "those from one IPv6 site (/48), all of its networks together" },
  exists_client: {
    limit: 60,
    window: MINUTE,
    counts: "questions of one client whether a user exists, where public:customers is all that lets it ask",
  },
  own_change: { limit: 20, window: HOUR, counts: "changes that a person makes of their own record" },
  client_change: { limit: 20, window: HOUR, counts: "changes that a client that registered itself makes of itself" },
  client_source: { limit: 10, window: HOUR, counts: "new clients that register themselves, by source" },
  client_site: { limit: 100, window: HOUR, counts: "those from one IPv6 site (/48), all of its networks together" },
  client_login_source: {
    limit: 10,
    window: HOUR,
    counts: "logins that count as use of strangers' clients that nobody has used lately, by source",
  },
  client_login_site: {
    limit: 100,
    window: HOUR,
    counts: "those from one IPv6 site (/48), all of its networks together",
  },
  signup_guess: { limit: 100, window: 10 * MINUTE, counts: "wrong sign-up codes by one caller" },

  // These depend on the record.
  recovery_send: {
    limit: 20,
    window: HOUR,
    counts:
      "binding codes sent for one person whom nobody has proved to be yet, by whatever name: they recover a password",
  },
  send_person: {
    limit: Number.POSITIVE_INFINITY,
    window: HOUR,
    counts: "codes on their way to one person: refuses nobody, but two at once wait for each other here",
  },
  closing_notice: { limit: 1, window: 90 * DAY, counts: "notices to one person of one closing of their numeric codes" },
  change_notice: {
    limit: 3,
    window: HOUR,
    counts: "messages to one person of one kind of change of how they log in",
  },
  sms_daily: {
    limit: 1_000,
    window: DAY,
    counts: "SMS of one account, of which the last are for people's own numbers",
  },
  sms_prefix_sent: {
    limit: 50,
    window: DAY,
    counts:
      "SMS of one account to one range of numbers, apart for numbers that nobody has yet, people's own, and sends that callers have of their own: from so many on, codes there have to be entered",
  },
  sms_prefix_verified: { limit: 50, window: DAY, counts: "codes that went to one range of numbers and were entered" },
  secret_guess: {
    limit: 100,
    window: HOUR,
    counts: "wrong secrets of one client that has a short one, brought along by an import, from one source",
  },
  secret_guess_site: {
    limit: 1_000,
    window: HOUR,
    counts: "the same from one IPv6 site (/48), all of its networks together",
  },
  session_look: {
    limit: 30,
    window: MINUTE,
    counts: "looks for logins that could end in a session that has led to too many, for those clients that fill it",
  },
  session_room: {
    limit: 1_000,
    window: HOUR,
    counts: "logins that may still be alive, and end for a client that fills its session",
  },
  session_room_client: {
    limit: 100,
    window: HOUR,
    counts: "looks for one that could end, for one client in a session that others fill",
  },
  session_room_clients: { limit: 1_000, window: HOUR, counts: "the same for all such clients of one session" },
  spray_person: { limit: 1, window: 10 * MINUTE, counts: "wrong numeric codes of one person, for a spray" },
  spray_people: { limit: 20, window: 10 * MINUTE, counts: "people of an account with wrong numeric codes" },
  spray_guess: { limit: 100, window: 10 * MINUTE, counts: "wrong numeric codes in one account" },
  spray_pressure: {
    limit: 0,
    window: HOUR,
    counts: "one account in which many people are guessed against: unknown browsers get typable codes",
  },
  typable_guess: { limit: 1_000, window: 10 * MINUTE, counts: "wrong typable codes and links of one client" },
  typable_pressure: { limit: 0, window: HOUR, counts: "one client that is being guessed against: longer codes" },
} as const satisfies Record<string, Budget>;

export type BudgetName = keyof typeof budgets;

/** Wrong guesses that make one numeric code worthless; counted on the code itself. */
export const GUESSES_PER_CODE = 5;

/** Whose window it is, and of what. */
export interface BudgetKey {
  readonly account_id: string;
  readonly budget: BudgetName;
  readonly subject: string;
}

/** One step of one budget. */
export interface Charge extends BudgetKey {
  /** Default 1. */
  readonly cost?: number;
  /** A setting's value in place of the table's. */
  readonly limit?: number;
  /**
   * A step that is taken before it: who comes second there takes nothing here, but nor do they go where nothing is left.
   * Undefined where it is taken each time.
   */
  readonly once_in?: Charge | undefined;
}

export interface Taken {
  readonly allowed: boolean;
  /** This step's place in its window, beginning with 1. */
  readonly count: number;
  /** Seconds until the window ends, at least 1. */
  readonly retry_after: number;
}

/** What those that refuse say together. */
export interface BudgetRefusal {
  /** Seconds to wait. */
  readonly retry_after: number;
  /** None of them has refused another in its window before. */
  readonly first: boolean;
  /** Which of them they are. */
  readonly by: readonly BudgetName[];
}

export function limitOf(charge: Charge): number {
  return charge.limit ?? budgets[charge.budget].limit;
}
