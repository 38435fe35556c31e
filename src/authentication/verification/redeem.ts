import { auditEvent } from "../../audit/audit.ts";
import type { Directory } from "../../directory/directory.ts";
import { signUpUser } from "../../directory/users/sign-up.ts";
import { refuse } from "../../errors.ts";
import { takeBudget } from "../../limits/limits.ts";
import type { Secret } from "../../secrets/secret.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { instant } from "../../storage/storage.ts";
import type { Authentication } from "../authentication.ts";
import { codeDigestHex, normaliseCode, type PresentedCode } from "../codes/code.ts";
import { enteredFrom } from "../messages/sms-limits.ts";
import type { Occasion } from "../occasion.ts";
import { type AuthenticatedSubject, subjectOf } from "../subject.ts";
import { windowEnds } from "./guess-window.ts";
import { type NamedPerson, type Naming, namePerson } from "./name-person.ts";
import { type FoundCode, type FoundUser, type RedeemInput, redeemStatement } from "./redeem-statement.ts";
import { refuseAnswer, refuseGuess } from "./refuse-redemption.ts";
import { wentByBoth, wentBySms } from "./sent-over.ts";
import { selectRedeemedSince, updateCodeUser, updateLiveSpent } from "./store.ts";
import { boundAudience, type CodePurpose, REMEMBERED } from "./verification.ts";
import { waitForTurn } from "./wait-for-turn.ts";

export interface RedeemRequest extends Occasion, Naming {
  /** Has to live when the code is spent. */
  readonly grant_id: string;
  readonly purpose?: CodePurpose | undefined;
  readonly verification_code: Secret;
  readonly connection?: string | undefined;
}

/**
 * Spends a verification code: of any number of parallel attempts exactly one resolves. The comparison, the count of a wrong
 * guess and the spending are one statement, committed before anybody is answered.
 *
 * @throws 400 ident_required, invalid_verification_code, verification_code_used, verification_code_expired;
 *   403 unauthorized_client when client or grant died meanwhile; 429 too_many_attempts.
 */
export async function redeemCode(
  authentication: Authentication,
  request: RedeemRequest,
): Promise<AuthenticatedSubject> {
  const { directory } = authentication;
  const guess = await readGuess(directory, request);
  if (guess.kind === "malformed" || !guess.agrees)
    throw await refuseGuess(directory, request, guess, "invalid_verification_code");
  const input = redeemInput(directory, request, guess.kind, guess);
  const answer = await directory.storage.hot(redeemStatement(input), input);
  if (answer.won && answer.code) return redeemer(directory, request, answer.code, answer.user);
  return refuseAnswer(authentication, request, guess, input, answer);
}

/**
 * A code that nothing says the client of, presented by a client that may log nobody in: worth what any wrong one is.
 *
 * @throws 400 ident_required, invalid_verification_code, always one of them.
 */
export async function refuseUnknownCode(
  directory: Directory,
  request: Omit<RedeemRequest, "grant_id">,
): Promise<never> {
  throw await refuseGuess(directory, request, await readGuess(directory, request), "invalid_verification_code");
}

export type Guess = PresentedCode & NamedPerson;

/** @throws 400 ident_required for digits alone; 400 invalid_request, as naming a person does. */
async function readGuess(directory: Directory, request: Omit<RedeemRequest, "grant_id">): Promise<Guess> {
  const { kind, code, length } = normaliseCode(request.verification_code);
  const { person, former, agrees } = await namePerson(directory, request);
  if (kind === "numeric" && person === null && agrees) throw refuse("ident_required");
  return { kind, code, length, person, former, agrees };
}

function redeemInput(
  directory: Directory,
  request: RedeemRequest,
  kind: RedeemInput["kind"],
  { code, length, person, former }: Guess,
): RedeemInput {
  const { account, client, grant_id, connection, actor, facts, now } = request;
  const { account_id } = account;
  const { master_keys } = directory;
  const audience = boundAudience(directory, account, request.audience, request.purpose);
  // Only the digest of a numeric code says whose it is.
  const persons = kind === "numeric" && former !== "" ? [person, former] : [person];
  const digests: string[] = [];
  for (const name of persons) {
    const binding = { account_id, client_id: client.id, audience, person: name ?? "" };
    for (const version of master_keys.versions) digests.push(codeDigestHex(master_keys, version, binding, kind, code));
  }
  const at = instant(now);
  // What account users did is listed by who did it: the one who logs in is the actor.
  const own = client.settings.user_type === "account_user";
  return {
    kind,
    account_id,
    client_id: client.id,
    audience,
    grant_id,
    person,
    former,
    digests,
    length,
    connection: connection ?? null,
    attempt: uuidv7(now),
    signup: client.settings.signup,
    now: at,
    remembered: instant(now - REMEMBERED),
    guess_limit: account.settings.numeric_guess_limit,
    window_ends: kind === "numeric" ? windowEnds(now) : [],
    event: auditEvent({
      account_id,
      created_at: at,
      action: "verification_code.redeemed",
      outcome: "success",
      entity: null,
      actor: own ? null : actor,
      context: { client_id: client.id, ...(own ? { bearer: actor } : {}), ...facts },
    }),
  };
}

/** Whose code it was; who had only an address or number is signed up with it. */
async function redeemer(
  directory: Directory,
  request: RedeemRequest,
  code: FoundCode,
  found: FoundUser | null,
): Promise<AuthenticatedSubject> {
  const { now } = request;
  const { account_id } = request.account;
  const user = found ?? (await signUp(directory, request, code));
  const sms = wentBySms(code);
  if (sms && code.phone_number) await takeBudget(directory.storage, enteredFrom(account_id, code.phone_number), now);
  const either = wentByBoth(code);
  const amr = sms || either ? ["otp", "sms"] : ["otp"];
  const code_sent_over = either ? ("email" as const) : undefined;
  return subjectOf(user, { authenticated_at: now, amr, code_sent_over, authorization_id: code.id });
}

/**
 * The code has proved that the address or number is the person's own. Whose it has become since it was sent may have codes
 * under their own name: of this login one success spends them all, and this one with them where it came too late.
 *
 * @throws 400 verification_code_used, and what `signUpUser` does.
 */
function signUp(directory: Directory, request: RedeemRequest, code: FoundCode): Promise<FoundUser> {
  const { account, client, now } = request;
  const { account_id, settings } = account;
  const { id, person, email, phone_number } = code;
  const audience = boundAudience(directory, account, request.audience, request.purpose);
  const by_sms = wentBySms(code);
  const identifier = by_sms ? { email: null, phone_number } : { email, phone_number: null };
  return directory.storage.write(async (tx) => {
    // Of two codes that sign up one person, the second finds whom the first made.
    await waitForTurn(tx, account_id, person, now);
    const type = client.settings.user_type;
    const user = await signUpUser(tx, { account_id, type, ...identifier, locale: settings.locale, code_id: id, now });
    await updateCodeUser(tx.db, account_id, id, user.id);
    // Nobody has sent anything to whom this instant made.
    if (user.created_at === instant(now)) return user;
    const login = { account_id, client_id: client.id, audience, person: user.id };
    await updateLiveSpent(tx.db, login, instant(now));
    if (await selectRedeemedSince(tx.db, login, code.created_at)) throw refuse("verification_code_used");
    return user;
  });
}
