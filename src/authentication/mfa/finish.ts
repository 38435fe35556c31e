import { randomUUID } from "node:crypto";
import { recordDeed } from "../../audit/audit.ts";
import { areAlive } from "../../directory/check-alive.ts";
import type { Directory } from "../../directory/directory.ts";
import { holdLogin } from "../../directory/users/logins-ended.ts";
import { type Refusal, refuse, refuseField } from "../../errors.ts";
import { chargeAll } from "../../limits/limits.ts";
import { reveal, type Secret, secret } from "../../secrets/secret.ts";
import { openTicket } from "../../secrets/ticket.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { isCode } from "../codes/code.ts";
import { forgiveFirst, forgiveIn, type Guesser, giveBackGuess, orGiveBack, takeGuess } from "../guesses/guess.ts";
import { inLine } from "../guesses/in-line.ts";
import { enteredFrom } from "../messages/sms-limits.ts";
import { deedOf, type Occasion } from "../occasion.ts";
import { passwordStands, shownPassword } from "../passwords/password.ts";
import type { AuthenticatedSubject } from "../subject.ts";
import { knownUntil, useStatement } from "../used-tokens.ts";
import { bindingChallenge } from "./challenge.ts";
import { channelsOf } from "./factors.ts";
import { MFA_LIFETIME, type OobChallenge, oobTicket, type PendingLogin, shownAt } from "./mfa.ts";
import { spent } from "./open-login.ts";
import { mfaRequired } from "./require-factor.ts";
import { openSeed } from "./seed.ts";
import { selectFactors, updateStep } from "./store.ts";
import { matchTotp } from "./totp.ts";

/** A code by SMS or mail with the challenge it answers, or a one-time password of an app. */
export interface PresentedFactor {
  readonly oob_code?: Secret | undefined;
  readonly binding_code?: Secret | undefined;
  readonly otp?: Secret | undefined;
}

export interface FinishRequest extends Occasion {
  readonly pending: PendingLogin;
  readonly presented: PresentedFactor;
  readonly source: string | null;
}

type Proof =
  | { readonly kind: "sms" | "email"; readonly sent_to: string }
  | { readonly kind: "totp"; readonly step: number };

/**
 * Ends a login with its second factor, once. The guess is counted before anything is compared; the step of a one-time
 * password and the login are spent in one transaction, and only while client, grant and user live, the person's logins
 * have not ended since the first factor and the password that was shown stands.
 *
 * @throws 400 invalid_request for a factor that is not whole, or was the first one; 400 invalid_grant for a wrong, late
 *   or used one; 403 mfa_required after the first channel of a recovery; 429 too_many_attempts.
 */
export async function finishFactor(directory: Directory, request: FinishRequest): Promise<AuthenticatedSubject> {
  const { account, pending, source } = request;
  const { account_id, settings } = account;
  const guesser = { account_id, person: guesserOf(pending), source, limit: settings.factor_guess_limit };
  checkPresented(request.presented, pending.first);
  return inLine(guesser, () => compareFactor(directory, request, guesser));
}

async function compareFactor(
  directory: Directory,
  request: FinishRequest,
  guesser: Guesser,
): Promise<AuthenticatedSubject> {
  const { pending, now } = request;
  const { storage, master_keys } = directory;
  const { account_id } = guesser;
  await takeGuess(directory, guesser, now);
  const proof = await matchFactor(directory, request);
  if (!proof) throw await refuseFactor(directory, request);
  const { user_id, amr, password_set_at } = pending.subject;
  const password = shownPassword(amr, password_set_at);
  const done = await storage.write(async (tx) => {
    // The person before the password, in the order of whoever changes either.
    if (!(await holdLogin(tx, { account_id, user_id }, instant(shownAt(pending))))) return false;
    if (password && !(await passwordStands(tx, { account_id, user_id }, password))) return false;
    if (!(await spend(tx, request, proof))) return false;
    await forgive(tx, directory, guesser, pending);
    if (proof.kind === "sms") await chargeAll(tx, [enteredFrom(account_id, proof.sent_to)], now);
    return true;
  });
  // The factor was right when it was compared, so it was no guess.
  if (!done) return orGiveBack(directory, guesser)(spent());
  const subject = proved(pending, proof, now);
  if (pending.first !== "nothing") return subject;
  const next = { ...pending, id: randomUUID(), subject, first: proof.kind, expires_at: now + MFA_LIFETIME };
  throw mfaRequired(master_keys, account_id, next);
}

/**
 * Whom a wrong factor counts against. With a password it is the person, as its own guesses are. What strangers can try
 * closes nothing else: not the second factor of whoever has shown a code, nor of whoever comes from their provider or
 * with the first channel of a recovery.
 */
function guesserOf({ first, subject: { user_id } }: PendingLogin): string {
  if (first === "pwd") return user_id;
  return first === "nothing" ? recoverer(user_id) : `factor ${user_id}`;
}

const recoverer = (user_id: string) => `recovery ${user_id}`;

/** With its last factor a login has come through, and not before: whoever holds one of two guesses at the other. */
async function forgive(
  tx: Transaction,
  directory: Directory,
  guesser: Guesser,
  { first, recovery, subject: { user_id } }: PendingLogin,
): Promise<void> {
  const { account_id } = guesser;
  if (first === "nothing") return giveBackGuess(tx, directory, guesser);
  if (recovery) await forgiveFirst(tx, { account_id, budget: "factor_guess", subject: recoverer(user_id) });
  else if (first === "sms" || first === "email")
    await forgiveFirst(tx, { account_id, budget: "numeric_guess", subject: user_id });
  return forgiveIn(tx, directory, guesser);
}

/** An app's one-time password is presented without a challenge, which would have refused the first factor again. */
function checkPresented({ oob_code, binding_code, otp }: PresentedFactor, first: PendingLogin["first"]): void {
  if (otp && first === "totp") throw refuseField("otp", "used", "was the first factor: the second must be another one");
  if (otp) return;
  if (!oob_code) throw refuseField("oob_code", "required", "and binding_code, or otp, are required beside mfa_token");
  if (!binding_code) throw refuseField("binding_code", "required", "is required beside oob_code");
}

async function matchFactor(
  directory: Directory,
  { account, pending, presented, now }: FinishRequest,
): Promise<Proof | undefined> {
  const { storage, master_keys } = directory;
  const { account_id } = account;
  const { oob_code, binding_code, otp } = presented;
  if (otp) {
    const rows = await selectFactors(storage.read, account_id, pending.subject.user_id);
    const row = rows.find(({ kind, enabled_at }) => kind === "totp" && enabled_at !== null);
    const step = row?.seed && matchTotp(openSeed(master_keys, row), reveal(otp).replace(/\s/g, ""), now);
    return typeof step === "number" ? { kind: "totp", step } : undefined;
  }
  const challenge = oob_code && openTicket<OobChallenge>(master_keys, oobTicket(account_id), oob_code);
  if (!challenge || challenge.login_id !== pending.id) return undefined;
  const same = isCode(master_keys, bindingChallenge(account_id, challenge), binding_code ?? secret(""));
  const sent_to = (await channelsOf(directory, account, pending)).get(challenge.channel);
  // An address or number that the person has left since says nothing about who they are.
  return same && sent_to !== undefined && sent_to === challenge.target
    ? { kind: challenge.channel, sent_to }
    : undefined;
}

/** @returns false where the login was ended before, or client, grant or user is gone. */
async function spend(tx: Transaction, request: FinishRequest, proof: Proof): Promise<boolean> {
  const { account, pending, actor } = request;
  const { account_id } = account;
  const { client_id, grant_id, subject } = pending;
  const { user_id } = subject;
  if (!(await areAlive(tx.db, { account_id, client_id, grant_id, user_id }))) return false;
  const [first] = await tx.hot(useStatement, [
    { account_id, id: pending.id, expires_at: knownUntil(pending.expires_at) },
  ]);
  if (!first) return false;
  // Raised so that the login itself stays as it was: the next step of the app may still end it.
  if (proof.kind === "totp" && !(await updateStep(tx.db, account_id, user_id, proof.step))) throw used();
  const accepted = { action: "second_factor.accepted", entity: user_id, facts: { factor: proof.kind, bearer: actor } };
  await recordDeed(tx, deedOf({ ...request, actor: user_id }, accepted));
  return true;
}

const AMR = { totp: ["otp"], sms: ["otp", "sms"], email: ["otp"] } as const;

/** `mfa` only once two different factors were shown (RFC 8176 §2): the mailbox that set the password is none beside it. */
function proved({ subject, first }: PendingLogin, { kind }: Proof, now: number): AuthenticatedSubject {
  const different = first !== "nothing" && kind !== subject.password_set_over;
  const amr = [...new Set([...subject.amr, ...AMR[kind], ...(different ? ["mfa"] : [])])];
  return { ...subject, amr, authenticated_at: now };
}

async function refuseFactor({ storage }: Directory, request: FinishRequest): Promise<Refusal> {
  const { client_id, subject } = request.pending;
  const refused = { action: "second_factor.refused", outcome: "failure", entity: subject.user_id } as const;
  await storage.write((tx) => recordDeed(tx, deedOf(request, { ...refused, facts: { client_id } })));
  return refuse("invalid_grant", { message: "The second factor is not valid." });
}

function used(): Refusal {
  return refuse("invalid_grant", { message: "This one-time password was used: wait for the next one." });
}
