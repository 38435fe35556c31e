import { recordDeed } from "../../audit/audit.ts";
import { actorFrom } from "../../directory/actor.ts";
import type { Directory } from "../../directory/directory.ts";
import { canonicalAudience, pageHost } from "../../directory/grants/audience.ts";
import { by_reuse, revoke } from "../../directory/revoke.ts";
import { type ErrorCode, type Refusal, refuse } from "../../errors.ts";
import { chargeAll, longestWait } from "../../limits/limits.ts";
import type { Transaction } from "../../storage/storage.ts";
import type { Authentication } from "../authentication.ts";
import { leavesTrace } from "../guesses/trace.ts";
import { deedOf } from "../occasion.ts";
import { FAILURES_LIMIT, isShut, wasCompared } from "./guess-window.ts";
import { sendClosingNotice } from "./notice.ts";
import type { Guess, RedeemRequest } from "./redeem.ts";
import type { RedeemAnswer, RedeemInput } from "./redeem-statement.ts";
import { noteSpray } from "./spray.ts";

type Refused = Omit<RedeemRequest, "grant_id">;

/** A second use this soon is a double click. */
const GRACE = 10_000;

/**
 * Refuses what spent nothing. The reason is the first that holds, in the order that the API promises: budget, no match,
 * used, expired.
 *
 * @throws always, and what `redeemCode` does.
 */
export async function refuseAnswer(
  authentication: Authentication,
  request: RedeemRequest,
  guess: Guess,
  input: RedeemInput,
  answer: RedeemAnswer,
): Promise<never> {
  const { directory } = authentication;
  if (!answer.client_lives || !answer.grant_lives) {
    throw refuse("unauthorized_client", { detail: "the client or its grant was deleted meanwhile" });
  }
  await tellWhereClosed(authentication, request, input, answer);
  const retry_after = closedFor(input, answer);
  if (retry_after !== undefined) {
    throw await refuseGuess(directory, request, guess, "too_many_attempts", retry_after);
  }
  if (answer.pressed) {
    throw refuse("ident_required", {
      message:
        "So many wrong codes were presented for this client that codes of ten symbols need ident or login_session_id beside them for now.",
    });
  }
  if (answer.wrong && input.person) await noteSpray(directory.storage, request.account, input.person, request.now);
  throw await refuseGuess(directory, request, guess, await fateOf(directory, request, input, answer));
}

/** By the window that this guess left behind: what a fault kept from being told once, the next guess tells. */
async function tellWhereClosed(
  authentication: Authentication,
  request: RedeemRequest,
  { person, guess_limit, now }: RedeemInput,
  { window }: RedeemAnswer,
): Promise<void> {
  if (!person || !window || !isShut(window, guess_limit, now)) return;
  // What the notice carries is there to log in, whatever the guesses were at.
  const audience = canonicalAudience(request.account, authentication.directory.public_url, request.audience);
  await sendClosingNotice(authentication, { ...request, audience, person, window });
}

/** Seconds to wait when numeric codes were not compared, because the person's or the code's guesses are used up. */
function closedFor({ kind, now, guess_limit }: RedeemInput, answer: RedeemAnswer): number | undefined {
  if (kind !== "numeric") return undefined;
  const { window, wrong, exhausted_until } = answer;
  const seconds = (until: string) => Math.max(1, Math.ceil((Date.parse(until) - Date.parse(now)) / 1000));
  if (window && !wasCompared(window, { wrong, limit: guess_limit })) {
    const wait = seconds(window.window_ends_at);
    return window.failures >= FAILURES_LIMIT ? Math.max(3_600, wait) : wait;
  }
  return exhausted_until === null ? undefined : seconds(exhausted_until);
}

async function fateOf(
  directory: Directory,
  { account, client, actor, facts, now }: RedeemRequest,
  input: RedeemInput,
  { code, fits, locked, user, wrong }: RedeemAnswer,
): Promise<ErrorCode> {
  if (!code) return "invalid_verification_code";
  const foreign = code.client_id !== client.id;
  const reused = code.redeemed_by !== null && code.spent_at !== null;
  if (reused && code.expires_at > input.now && (foreign || now - Date.parse(code.spent_at ?? "") > GRACE)) {
    const by = { actor: actorFrom(actor, facts), facts: by_reuse };
    await revoke(directory, { account_id: account.account_id, entity: code.id, ...by });
  }
  // Dead by wrong guesses, it is worth no more than a wrong one.
  if (!fits || wrong) return "invalid_verification_code";
  if (code.spent_at !== null) return "verification_code_used";
  if (code.expires_at <= input.now) return "verification_code_expired";
  const nobody = code.user_id === null ? !(code.signup && input.signup) : user === null;
  return nobody && locked ? "invalid_verification_code" : "verification_code_used";
}

/**
 * Records a refused attempt. A wrong typable code or link is counted against the client, since no person can be blamed. What
 * is entered at the hosted login can be a code of that login alone, and is counted there: beyond that it leaves no trace, nor
 * does what is beyond the limits of its source, which begins as many logins as it likes.
 */
export async function refuseGuess(
  { storage, public_url, master_keys }: Directory,
  request: Refused,
  guess: Guess,
  reason: ErrorCode,
  retry_after?: number,
): Promise<Refusal> {
  const { account, audience, now } = request;
  const { account_id } = account;
  const at_page = pageHost(public_url, audience) !== undefined;
  const is_blamed = guess.kind !== "numeric" && reason === "invalid_verification_code";
  const wait = await storage.write(async (tx) => {
    if (at_page) {
      const login = { account_id, budget: "page_guess", subject: audience } as const;
      const login_wait = longestWait(await chargeAll(tx, [login], now));
      if (login_wait !== undefined) return login_wait;
      if (!(await leavesTrace(tx, master_keys, account_id, request.facts.ip, now))) return undefined;
    } else if (is_blamed) {
      await blameClient(tx, request);
    }
    await noteRefused(tx, request, guess, reason);
    return undefined;
  });
  if (wait !== undefined) return refuse("too_many_attempts", { retry_after: wait });
  return refuse(reason, retry_after === undefined ? {} : { retry_after });
}

/** Beyond the limit its codes are longer for a while. */
async function blameClient(tx: Transaction, { account, client, now }: Refused): Promise<void> {
  const ofClient = { account_id: account.account_id, subject: client.id };
  const guesses = { ...ofClient, budget: "typable_guess", limit: account.settings.typable_guess_limit } as const;
  if (longestWait(await chargeAll(tx, [guesses], now)) === undefined) return;
  await chargeAll(tx, [{ ...ofClient, budget: "typable_pressure" }], now);
}

async function noteRefused(
  tx: Transaction,
  request: Refused,
  { kind, person }: Guess,
  reason: ErrorCode,
): Promise<void> {
  const { id: client_id } = request.client;
  const facts = { client_id, reason, format: kind, ...(person ? { person } : {}) };
  const refused = { action: "verification_code.refused", outcome: "failure", entity: client_id, facts } as const;
  await recordDeed(tx, deedOf(request, refused));
}
