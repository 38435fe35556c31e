import { recordDeed } from "../../audit/audit.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { holdByLogin, type LoginAtHand } from "../../directory/users/logins-ended.ts";
import type { EndLogins } from "../../directory/users/remove-user.ts";
import { type VerifiedField, verifyContact } from "../../directory/users/verify-contact.ts";
import { refuse, refuseField } from "../../errors.ts";
import { chargeAll } from "../../limits/limits.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { isCode } from "../codes/code.ts";
import { forgiveIn, type Guesser, orGiveBack, takeGuess } from "../guesses/guess.ts";
import { inLine } from "../guesses/in-line.ts";
import { strategyOf } from "../messages/recipient.ts";
import { enteredFrom } from "../messages/sms-limits.ts";
import { tellOver } from "../messages/tell-of-change.ts";
import { moveChannel } from "../mfa/change-factors.ts";
import { leavePasswordsOfMail } from "../passwords/password.ts";
import { moveLinks } from "../usernames/move-links.ts";
import { leaveAddress } from "../verification/leave-address.ts";
import { type Contact, contactGuesser } from "./contact.ts";
import { checkLeaves, leftFor } from "./left-for.ts";
import { deleteChallenge, selectChallenge } from "./store.ts";

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
  // A change is told to the address or number that it replaces.
  const hearer = left ? field : hearerOfFirst(contact);
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
    if (hearer) await tellOver(tx, account, user, hearer, ["contact_changed"], now);
    const deed = { account_id, action: "contact.verified", entity: user.id, now: instant(now), actor };
    await recordDeed(tx, { ...deed, facts: { field } });
    if (left) await endLogins(tx, { ...person, kept: login });
  });
  // The code was right when it was compared, so it was no guess, also where another of the same click was faster.
  await confirming.catch(orGiveBack(directory, guesser));
}

/** A first address or number that logs the person in is told to the one of the other kind, where it did so far. */
function hearerOfFirst({ user, field }: Contact): VerifiedField | undefined {
  const verified = { email: user.email_verified_at !== null, phone_number: user.phone_verified_at !== null };
  const other = field === "email" ? "phone_number" : "email";
  return verified[other] && !verified[field] ? other : undefined;
}
