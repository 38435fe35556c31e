/**
 * What one person's codes must do, as small as it can be said: a reference that the server is compared with. Steps are pure, so that
 * a checker may try them in any order.
 */

export type Format = "typable" | "numeric" | "link";

export type Step =
  | { readonly kind: "mint"; readonly format: Format }
  | { readonly kind: "send" }
  | { readonly kind: "redeem"; readonly code: string }
  | { readonly kind: "guess" }
  | { readonly kind: "expire"; readonly code: string }
  | { readonly kind: "remove" };

/** What the server said: a status or error code, and the code that was handed out. */
export interface Outcome {
  readonly answer: string;
  readonly code?: string | undefined;
}

interface Code {
  readonly format: Format;
  readonly state: "live" | "used" | "expired";
  readonly guesses: number;
}

export interface Login {
  readonly alive: boolean;
  readonly codes: Readonly<Record<string, Code>>;
  /** The code that was sent last. */
  readonly sent: string | null;
  /** Wrong numeric guesses in the running window. */
  readonly count: number;
  /** The same for the address once nobody has it any more. */
  readonly ghost: number;
}

export const newLogin: Login = { alive: true, codes: {}, sent: null, count: 0, ghost: 0 };

const LIVE_LIMIT = 5;
const CODE_GUESSES = 5;
const WINDOW_GUESSES = 10;

/** The state after this step, or undefined when a server in this state could not have said so. */
export function apply(login: Login, step: Step, outcome: Outcome): Login | undefined {
  const { answer, code } = outcome;
  const is = (expected: string, next: Login = login) => (answer === expected ? next : undefined);
  switch (step.kind) {
    case "mint":
      if (!login.alive) return is("not_found");
      if (minted(login).length >= LIVE_LIMIT) return is("too_many_requests");
      return is("200", code === undefined ? login : withCode(login, code, step.format));
    case "send": {
      if (!login.alive) return login;
      if (login.sent !== null && login.codes[login.sent]?.state === "live")
        return is("204", code === login.sent ? login : undefined);
      if (code === undefined || login.codes[code]) return undefined;
      return is("204", { ...withCode(login, code, "typable"), sent: code });
    }
    case "expire":
      return login.codes[step.code]?.state === "live"
        ? { ...login, codes: { ...login.codes, [step.code]: { ...known(login, step.code), state: "expired" } } }
        : login;
    case "remove":
      return login.alive ? is("200", { ...login, alive: false }) : is("not_found");
    case "guess":
      return login.alive ? guess(login, answer) : ghost(login, answer);
    case "redeem":
      return redeem(login, step.code, answer);
  }
}

function redeem(login: Login, text: string, answer: string): Login | undefined {
  const code = known(login, text);
  const is = (expected: string, next: Login = login) => (answer === expected ? next : undefined);
  if (code.format === "numeric") {
    if (!login.alive) return ghost(login, answer);
    if (isShut(login)) return is("too_many_attempts");
    // Dead by wrong guesses, while a newer one lives: as wrong as any other.
    if (code.state === "live" && code.guesses >= CODE_GUESSES) return guess(login, answer);
  }
  if (code.state === "used") return is("verification_code_used");
  if (code.state === "expired") return is("verification_code_expired");
  if (!login.alive) return is("invalid_verification_code");
  return is(
    "302",
    each(login, (one) => (one.state === "live" ? { ...one, state: "used" } : one)),
  );
}

/** A numeric code that nobody was sent. */
function guess(login: Login, answer: string): Login | undefined {
  if (isShut(login)) return answer === "too_many_attempts" ? login : undefined;
  if (answer !== "invalid_verification_code") return undefined;
  const counted = each(login, (one) => (isLiveNumeric(one) ? { ...one, guesses: one.guesses + 1 } : one));
  return { ...counted, count: login.count + 1 };
}

function ghost(login: Login, answer: string): Login | undefined {
  if (login.ghost >= WINDOW_GUESSES) return answer === "too_many_attempts" ? login : undefined;
  return answer === "invalid_verification_code" ? { ...login, ghost: login.ghost + 1 } : undefined;
}

function isShut(login: Login): boolean {
  const live = Object.values(login.codes).filter(isLiveNumeric);
  return login.count >= WINDOW_GUESSES || (live.length > 0 && live.every(({ guesses }) => guesses >= CODE_GUESSES));
}

const isLiveNumeric = ({ format, state }: Code) => format === "numeric" && state === "live";

const minted = ({ codes, sent }: Login) =>
  Object.entries(codes).filter(([text, { state }]) => state === "live" && text !== sent);

function known({ codes }: Login, text: string): Code {
  return codes[text] ?? { format: "typable", state: "used", guesses: 0 };
}

function withCode(login: Login, text: string, format: Format): Login {
  return { ...login, codes: { ...login.codes, [text]: { format, state: "live", guesses: 0 } } };
}

function each(login: Login, change: (code: Code) => Code): Login {
  return { ...login, codes: Object.fromEntries(Object.entries(login.codes).map(([text, one]) => [text, change(one)])) };
}
