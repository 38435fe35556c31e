/**
 * What the codes of one person at one client must do, as small as it can be said: a reference that the server is
 * compared with. Steps are pure, so that a checker may try them in any order.
 */

export type Format = "typable" | "numeric" | "link";
export type Thing = "user" | "client" | "grant";

export type Step =
  | { readonly kind: "mint"; readonly format: Format; readonly via: number }
  | { readonly kind: "send"; readonly via: number }
  | { readonly kind: "resend"; readonly session: string; readonly via: number }
  | { readonly kind: "redeem"; readonly code: string; readonly via: number }
  | { readonly kind: "guess"; readonly via: number }
  /** So much time passes that the code is over, and what began with it. */
  | { readonly kind: "expire"; readonly code: string }
  /** So much time passes that a message may go out again. */
  | { readonly kind: "rest" }
  | { readonly kind: "remove"; readonly thing: Thing; readonly via: number };

/**
 * What the server said: a status or error code, the code that was handed out, and where it was sent, the login and the
 * inbox's size.
 */
export interface Outcome {
  readonly answer: string;
  readonly code?: string | undefined;
  readonly session?: string | undefined;
  readonly messages?: number | undefined;
}

interface Code {
  readonly format: Format;
  readonly state: "live" | "used" | "expired";
  readonly guesses: number;
  /** It went out in a message, and not to the client. */
  readonly mailed?: boolean;
}

export interface Login {
  /** What was removed, and through which process: another one may offer it for five seconds more, but never permit it. */
  readonly removed: Readonly<Partial<Record<Thing, number>>>;
  readonly codes: Readonly<Record<string, Code>>;
  /** The code that was sent last. */
  readonly sent: string | null;
  readonly messages: number;
  /** The last message was long enough ago. */
  readonly rested: boolean;
  /** Code of each login session. */
  readonly sessions: Readonly<Record<string, string>>;
  /** Wrong numeric guesses in the running window. */
  readonly count: number;
  /** The last of them brought a notice with a code of its own: from now on nobody can tell which message is whose. */
  readonly noticed: boolean;
  /** The same for the address once nobody has it any more. */
  readonly ghost: number;
  /**
   * The user was removed in this turn. Who a request is about is looked up before its code: a right one may find its
   * person gone in between, and is refused then without having been a guess; and requests that were under way with the
   * removal need not agree on whether it was.
   */
  readonly leaving: boolean;
  /** How many of `ghost` were perhaps such. */
  readonly spared: number;
}

export const newLogin: Login = {
  removed: {},
  codes: {},
  sent: null,
  messages: 0,
  rested: false,
  sessions: {},
  count: 0,
  noticed: false,
  ghost: 0,
  leaving: false,
  spared: 0,
};

/** The state when nothing is under way any more. */
export const settle = (login: Login): Login => (login.leaving ? { ...login, leaving: false } : login);

const OFFERS = ["200", "204", "not_found", "too_many_requests"];
const LIVE_LIMIT = 5;
const CODE_GUESSES = 5;
const WINDOW_GUESSES = 10;

/** The state after this step, or undefined when a server in this state could not have said so. */
export function apply(login: Login, step: Step, outcome: Outcome): Login | undefined {
  const { answer, code } = outcome;
  const is = (expected: string, next: Login = login) => (answer === expected ? next : undefined);
  switch (step.kind) {
    case "expire":
      return login.codes[step.code]?.state === "live" ? withState(login, step.code, "expired") : login;
    case "rest":
      return { ...login, rested: true };
    case "remove":
      // A grant is gone with its client.
      if (login.removed[step.thing] !== undefined || (step.thing === "grant" && login.removed.client !== undefined))
        return is("not_found");
      return is("200", {
        ...login,
        removed: { ...login.removed, [step.thing]: step.via },
        leaving: login.leaving || step.thing === "user",
      });
    case "mint":
      if (isClosed(login)) return closed(login, step.via, answer);
      if (isGone(login)) return is("not_found");
      if (minted(login).length >= LIVE_LIMIT) return is("too_many_requests");
      return code === undefined ? undefined : is("200", withCode(login, code, step.format));
    case "send":
    case "resend":
      if (isClosed(login)) return closed(login, step.via, answer);
      if (isGone(login)) return is("204");
      if (answer !== "204") return undefined;
      if (login.noticed) return sendAfterNotice(login, outcome);
      return step.kind === "send" ? send(login, outcome) : resend(login, step.session, outcome);
    case "guess":
    case "redeem":
      if (isClosed(login)) return is("unauthorized_client");
      if (step.kind === "redeem") return redeem(login, step.code, answer);
      return isGone(login) ? ghost(login, answer) : guess(login, answer);
  }
}

/** Without client or grant nothing is issued. */
const isClosed = ({ removed }: Login) => removed.client !== undefined || removed.grant !== undefined;
const isGone = ({ removed }: Login) => removed.user !== undefined;

/** A process that did not remove it itself may not know yet, and make what will never be redeemed. */
function closed(login: Login, via: number, answer: string): Login | undefined {
  const { client, grant } = login.removed;
  if (answer === "unauthorized_client") return login;
  return client !== via && grant !== via && OFFERS.includes(answer) ? login : undefined;
}

/** A login of its own, with the pending code as long as that lives. */
function send(login: Login, outcome: Outcome): Login | undefined {
  const { code, session, messages } = outcome;
  if (code === undefined || session === undefined) return undefined;
  const begun = { ...login, sessions: { ...login.sessions, [session]: code } };
  if (login.sent !== null && login.codes[login.sent]?.state === "live") return again(begun, outcome);
  if (login.codes[code] || messages !== login.messages + 1) return undefined;
  return { ...withCode(begun, code, "typable", true), sent: code, messages, rested: false };
}

/** The newest message is the notice's, or one of this request: its code works, or it was known before. */
function sendAfterNotice(login: Login, { code, session, messages = -1 }: Outcome): Login | undefined {
  if (code === undefined || session === undefined) return undefined;
  if (messages < login.messages || messages > login.messages + 2) return undefined;
  const next = login.codes[code] ? login : withCode(login, code, "typable", true);
  return { ...next, messages, rested: false };
}

/** The same code of the same login once more, until that was redeemed; when its time is over, a login begins anew. */
function resend(login: Login, session: string, outcome: Outcome): Login | undefined {
  const { code, messages } = outcome;
  if (outcome.session !== session) return undefined;
  const own = login.sessions[session] ?? "";
  const state = login.codes[own]?.state;
  if (state === "expired") return send(login, outcome);
  if (state === "live") return own === login.sent ? again(login, outcome) : undefined;
  return code === (login.sent ?? undefined) && messages === login.messages ? login : undefined;
}

function again(login: Login, { code, messages }: Outcome): Login | undefined {
  if (code !== login.sent || messages !== login.messages + (login.rested ? 1 : 0)) return undefined;
  return { ...login, messages, rested: false };
}

function redeem(login: Login, text: string, answer: string): Login | undefined {
  const code = known(login, text);
  const is = (expected: string, next: Login = login) => (answer === expected ? next : undefined);
  if (code.format === "numeric") {
    if (isGone(login)) return ghost(login, answer, login.leaving && code.state === "live");
    if (isShut(login)) return is("too_many_attempts");
    // Dead by wrong guesses, while a newer one lives: worth no more than a wrong one.
    if (code.state === "live" && code.guesses >= CODE_GUESSES) return guess(login, answer);
  }
  if (code.state === "used") {
    // Of two that wait for one row, the one that saw the person go may have it first.
    if (login.leaving && answer === "invalid_verification_code") return login;
    return is("verification_code_used");
  }
  if (code.state === "expired") return is("verification_code_expired");
  if (isGone(login)) return is("invalid_verification_code");
  return is(
    "302",
    each(login, (one) => (one.state === "live" ? { ...one, state: "used", guesses: 0 } : one)),
  );
}

/** A numeric code that nobody was sent. */
function guess(login: Login, answer: string): Login | undefined {
  if (isShut(login)) return answer === "too_many_attempts" ? login : undefined;
  if (answer !== "invalid_verification_code") return undefined;
  const counted = each(login, (one) => (isLiveNumeric(one) ? { ...one, guesses: one.guesses + 1 } : one));
  const count = login.count + 1;
  return { ...counted, count, noticed: login.noticed || count === WINDOW_GUESSES };
}

function ghost(login: Login, answer: string, spared = false): Login | undefined {
  if (answer === "too_many_attempts") return login.ghost >= WINDOW_GUESSES ? login : undefined;
  if (answer !== "invalid_verification_code" || login.ghost - login.spared >= WINDOW_GUESSES) return undefined;
  return { ...login, ghost: login.ghost + 1, spared: login.spared + (spared ? 1 : 0) };
}

function isShut(login: Login): boolean {
  const live = Object.values(login.codes).filter(isLiveNumeric);
  return login.count >= WINDOW_GUESSES || (live.length > 0 && live.every(({ guesses }) => guesses >= CODE_GUESSES));
}

const isLiveNumeric = ({ format, state }: Code) => format === "numeric" && state === "live";

/** Live ones that were handed to the client, and not sent. */
function minted({ codes }: Login): string[] {
  return Object.keys(codes).filter((text) => codes[text]?.state === "live" && !codes[text]?.mailed);
}

function known({ codes }: Login, text: string): Code {
  return codes[text] ?? { format: "typable", state: "used", guesses: 0 };
}

function withCode(login: Login, text: string, format: Format, mailed = false): Login {
  const codes = { ...login.codes, [text]: { format, state: "live", guesses: 0, mailed } as const };
  // In one order, whatever order they came in: equal states have equal spellings.
  return { ...login, codes: Object.fromEntries(Object.entries(codes).toSorted(([a], [b]) => (a < b ? -1 : 1))) };
}

function withState(login: Login, text: string, state: Code["state"]): Login {
  return { ...login, codes: { ...login.codes, [text]: { ...known(login, text), state, guesses: 0 } } };
}

function each(login: Login, change: (code: Code) => Code): Login {
  return { ...login, codes: Object.fromEntries(Object.entries(login.codes).map(([text, one]) => [text, change(one)])) };
}
