import { randomUUID } from "node:crypto";
import { recordDeed } from "../../audit/audit.ts";
import type { Account } from "../../directory/accounts/account.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { canonicalEmail, type Identifier, readIdentifier } from "../../directory/users/identifier.ts";
import { holdByLogin, type LoginAtHand } from "../../directory/users/logins-ended.ts";
import type { EndLogins } from "../../directory/users/remove-user.ts";
import type { User } from "../../directory/users/user.ts";
import { type VerifiedField, verifyContact } from "../../directory/users/verify-contact.ts";
import { refuse, refuseField } from "../../errors.ts";
import type { BudgetName, Charge } from "../../limits/budgets.ts";
import { chargeAll, spendBudgets } from "../../limits/limits.ts";
import { sourceSubject } from "../../limits/source.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { isCode, newChallenge } from "../codes/code.ts";
import { forgiveIn, type Guesser, orGiveBack, takeGuess } from "../guesses/guess.ts";
import { inLine } from "../guesses/in-line.ts";
import { enqueueMessage, noCode } from "../messages/enqueue-message.ts";
import { type Recipient, recipientOf } from "../messages/recipient.ts";
import { enteredFrom, reached } from "../messages/sms-limits.ts";
import { moveChannel } from "../mfa/change-factors.ts";
import { hasTwo } from "../mfa/factors.ts";
import { leavePasswordsOfMail } from "../passwords/password.ts";
import { moveLinks } from "../usernames/move-links.ts";
import { leaveAddress } from "../verification/leave-address.ts";
import { identifierDigest } from "../verification/person.ts";
import { waitForTurn } from "../verification/wait-for-turn.ts";
import { CONTACT_CODE_LENGTH, CONTACT_LIFETIME, type ContactChallenge, contactGuesser } from "./contact.ts";
import { deleteChallenge, selectChallenge, upsertChallenge } from "./store.ts";

export interface Contact {
  readonly account: Account;
  readonly user: User;
  readonly field: VerifiedField;
  /** Second factors that went to what is left go along: not for somebody who acts for themselves and has shown none. */
  readonly moves_factors: boolean;
}

export interface ContactRequest extends Contact {
  /** A new address or number; else the record's own. */
  readonly value: string | undefined;
  /** BCP 47; what the request asks for. Where it asks for none, the person's own counts, then the account's. */
  readonly locale: string | undefined;
  /** By whom it is asked for. */
  readonly caller: ContactCaller;
}

export interface ContactCaller {
  /** A person who acts for themselves, and not one that may change their record. */
  readonly own: boolean;
  /** Where that person is; null when nothing is known. */
  readonly source: string | null;
  /** Its client's. */
  readonly client_uuid: string;
}

const strategyOf = (field: VerifiedField) => (field === "email" ? ("email" as const) : ("sms" as const));

/**
 * Sends a code to an address or number of the user, or to a new one: the one on its way once more while half its life is left.
 *
 * @throws 400 invalid_request when there is none; 403 insufficient_scope, as `checkLeaves`; 429 too_many_requests.
 */
export async function sendContactCode(directory: Directory, contact: ContactRequest, actor: Actor): Promise<void> {
  const { account, user, field, value, locale, caller } = contact;
  const { storage, master_keys } = directory;
  const { account_id, settings } = account;
  const given = value ?? user[field];
  if (given === null) throw refuseField("value", "required", `is required: the user has no ${field}`);
  const identifier = await readIdentifier(field, given, settings.country, "value");
  const target = identifier.value;
  checkLeaves(contact, leftFor(contact, target));
  const now = storage.now();
  const times = { created_at: instant(now), expires_at: instant(now + CONTACT_LIFETIME) };
  const like = { account_id, format: "numeric", length: CONTACT_CODE_LENGTH } as const;
  const { format, ...parts } = newChallenge(master_keys, like).challenge;
  const another: ContactChallenge = { ...parts, user_id: user.id, field, value: target, ...times };
  const standing = field === "phone_number" && target === user.phone_number && user.phone_verified_at ? "known" : "new";
  const recipient = await recipientOf(strategyOf(field), target, account, standing);
  await chargeContact(directory, { account, user }, identifier, caller, now);
  await storage.write(async (tx) => {
    await waitForTurn(tx, account_id, contactGuesser(user.id), now);
    const pending = await selectChallenge(tx.db, another);
    const goesOn = pending && pending.value === target && isFresh(directory, pending, now);
    const challenge = goesOn ? pending : another;
    // Before what the whole account shares, as whoever confirms one does.
    if (!goesOn) await upsertChallenge(tx.db, another);
    const { to, told } = await reached(tx, account, recipient, now);
    const code = { ...challenge, id: randomUUID(), format };
    const about = { account, sender: senderIs(account), code, kind: "verification", purpose: "contact", now } as const;
    const { strategy } = recipient;
    const language = locale ?? user.locale ?? settings.locale;
    await enqueueMessage(tx, { ...about, connection: strategy, strategy, to, locale: language });
    const deed = { account_id, action: "contact.challenged", entity: user.id, now: instant(now), actor };
    await recordDeed(tx, { ...deed, ...told, facts: { field, ...told.facts } });
  });
}

/** Whether half its life is left, and the key that it hangs on is there. `now` in milliseconds. */
const isFresh = ({ master_keys }: Directory, { key_version, expires_at }: ContactChallenge, now: number) =>
  master_keys.versions.includes(key_version) && expires_at >= instant(now + CONTACT_LIFETIME / 2);

/**
 * What a person may send in their own name, and to whom: an address gets no more than by the codes of logins, with which it
 * shares its budgets; and what a client may, whoever asks. What others share comes last, so that a refusal takes nothing
 * of it.
 *
 * @throws 429 too_many_requests.
 */
async function chargeContact(
  { storage, master_keys }: Directory,
  { account: { account_id, settings }, user: { id, type } }: Pick<Contact, "account" | "user">,
  identifier: Identifier,
  { own, source, client_uuid }: ContactCaller,
  now: number,
): Promise<void> {
  const charge = (budget: BudgetName, subject: string): Charge => ({ account_id, budget, subject });
  const target = identifierDigest(master_keys, account_id, type, identifier);
  const steps = [charge("factor_send", contactGuesser(id))];
  if (own && source !== null) {
    const from = sourceSubject(master_keys, account_id, source);
    steps.push(charge("send_identifier_source", `${target} ${from}`), charge("send_source", from));
  }
  const of_all: Charge[] = [{ ...charge("send_client", client_uuid), limit: settings.client_sends_per_minute }];
  if (own) of_all.push(charge("send_identifier", target));
  await spendBudgets(storage, [...steps, of_all], now);
}

export interface ContactProof {
  readonly presented: Secret;
  /** Of somebody who acts for themselves: it goes on where what came by the address or number that is left ends. */
  readonly login: LoginAtHand | undefined;
  readonly endLogins: EndLogins;
}

/**
 * The code came back: the address or number is the user's own, and may log in. Where another one was, what came by it ends.
 *
 * @throws 400 invalid_verification_code; 400 invalid_request when somebody else has the address by now; 401
 *   invalid_token for a login that has ended; 403 insufficient_scope, as `checkLeaves`; 429.
 */
export async function confirmContact(
  directory: Directory,
  contact: Contact,
  proof: ContactProof,
  actor: Actor,
): Promise<void> {
  const { account_id, settings } = contact.account;
  const person = contactGuesser(contact.user.id);
  const guesser = { account_id, person, source: null, limit: settings.factor_guess_limit };
  return inLine(guesser, () => compareCode(directory, contact, guesser, proof, actor));
}

async function compareCode(
  directory: Directory,
  contact: Contact,
  guesser: Guesser,
  { presented, login, endLogins }: ContactProof,
  actor: Actor,
): Promise<void> {
  const { storage, master_keys } = directory;
  const { account, user, field, moves_factors } = contact;
  const { account_id } = account;
  const now = storage.now();
  await takeGuess(directory, guesser, now);
  const challenge = await selectChallenge(storage.read, { account_id, user_id: user.id, field });
  // One that hangs on a key which is gone is as good as none.
  const known = challenge && master_keys.versions.includes(challenge.key_version);
  const right = known && isCode(master_keys, { ...challenge, format: "numeric" }, presented);
  if (!challenge || !right || challenge.expires_at <= instant(now)) throw refuse("invalid_verification_code");
  const left = leftFor(contact, challenge.value);
  const hearer = left ? field : hearerOfFirst(contact);
  const told = hearer && (await recipientOf(strategyOf(hearer), user[hearer], account, "known"));
  const person = { account_id, user_id: user.id };
  const confirming = storage.write(async (tx) => {
    checkLeaves(contact, left);
    if (!(await deleteChallenge(tx.db, challenge))) throw refuse("invalid_verification_code");
    if (left && moves_factors) await moveLinks(tx, account, user.id, field, left);
    if (!(await verifyContact(tx, user, field, challenge.value, instant(now)))) {
      throw refuseField("code", "taken", "confirms an address that belongs to another user");
    }
    if (login) await holdByLogin(tx, person, login);
    // Passwords before what was guessed at them, in the order of whoever shows one.
    if (left && field === "email") await leavePasswordsOfMail(tx, account_id, user.id);
    await forgiveIn(tx, directory, guesser);
    if (field === "phone_number") await chargeAll(tx, [enteredFrom(account_id, challenge.value)], now);
    if (left && moves_factors) await moveChannel(tx, person, strategyOf(field), left, now);
    if (left) await leaveAddress(tx, person, now);
    if (told) await tell(tx, contact, told, now);
    const deed = { account_id, action: "contact.verified", entity: user.id, now: instant(now), actor };
    await recordDeed(tx, { ...deed, facts: { field } });
    if (left) await endLogins(tx, { ...person, kept: login });
  });
  // The code was right when it was compared, so it was no guess, also where another of the same click was faster.
  await confirming.catch(orGiveBack(directory, guesser));
}

/** The user's own address or number until now, where it is another than this, which takes its place. */
function leftFor({ user, field }: Contact, to: string): { readonly from: string; readonly to: string } | undefined {
  const verified_at = field === "email" ? user.email_verified_at : user.phone_verified_at;
  if (verified_at === null) return undefined;
  const from = canonicalEmail(user[field] ?? "") ?? user[field];
  return from === null || from === to ? undefined : { from, to };
}

/**
 * Whoever has two factors leaves an address or number once they have shown both: or a mailbox would be two factors, since
 * its reader puts their own number beside it, also at a client whose logins skip the second.
 *
 * @throws 403 insufficient_scope.
 */
function checkLeaves({ account, user, moves_factors }: Contact, left: ReturnType<typeof leftFor>): void {
  if (left && !moves_factors && hasTwo(account, user))
    throw refuse("insufficient_scope", {
      message: "Log in with your second factor first, or have it changed with write:customers.",
    });
}

/** Who hears of a first address or number that logs the person in: the one of the other kind, where it did so far. */
function hearerOfFirst({ user, field }: Contact): VerifiedField | undefined {
  const verified = { email: user.email_verified_at !== null, phone_number: user.phone_verified_at !== null };
  const other = field === "email" ? "phone_number" : "email";
  return verified[other] && !verified[field] ? other : undefined;
}

/** A change is reported to the address or number that it replaces, and a first one to the other that there is. */
async function tell(tx: Transaction, { account, user }: Contact, hearer: Recipient, now: number): Promise<void> {
  const { to } = await reached(tx, account, hearer, now, false);
  const code = noCode(now);
  const about = { account, sender: senderIs(account), code, kind: "notice", purpose: "contact_changed", now } as const;
  const locale = user.locale ?? account.settings.locale;
  const { strategy } = hearer;
  await enqueueMessage(tx, { ...about, connection: strategy, strategy, to, locale });
}

const senderIs = ({ name }: Account) => ({ name, login_uri: null, host: null });
