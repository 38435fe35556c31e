import { randomUUID } from "node:crypto";
import { recordDeed } from "../../audit/audit.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { type Identifier, readIdentifier } from "../../directory/users/identifier.ts";
import { refuseField } from "../../errors.ts";
import { spokenOf } from "../../http/languages.ts";
import type { BudgetName, Charge } from "../../limits/budgets.ts";
import { spendBudgets } from "../../limits/limits.ts";
import { sourceSubject } from "../../limits/source.ts";
import { instant } from "../../storage/storage.ts";
import { newChallenge } from "../codes/code.ts";
import { enqueueMessage, senderIs } from "../messages/enqueue-message.ts";
import { recipientOf, strategyOf } from "../messages/recipient.ts";
import { reached } from "../messages/sms-limits.ts";
import { identifierDigest } from "../verification/person.ts";
import { waitForTurn } from "../verification/wait-for-turn.ts";
import {
  CONTACT_CODE_LENGTH,
  CONTACT_LIFETIME,
  type Contact,
  type ContactChallenge,
  contactGuesser,
} from "./contact.ts";
import { checkLeaves, leftFor } from "./left-for.ts";
import { selectChallenge, upsertChallenge } from "./store.ts";

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
    const language = spokenOf(locale, user.locale, settings.locale);
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
