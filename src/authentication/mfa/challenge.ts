import { randomUUID } from "node:crypto";
import { recordDeed } from "../../audit/audit.ts";
import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import { refuse, refuseField } from "../../errors.ts";
import { spokenOf } from "../../http/languages.ts";
import type { BudgetRefusal, Charge } from "../../limits/budgets.ts";
import { chargeAll, giveBackIn, longestWait, takeBudgetsIn } from "../../limits/limits.ts";
import { siteSubject, sourceSubject } from "../../limits/source.ts";
import { base64url } from "../../secrets/digest.ts";
import type { Secret } from "../../secrets/secret.ts";
import { sealTicket } from "../../secrets/ticket.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { Authentication } from "../authentication.ts";
import { type Challenge, newChallenge } from "../codes/code.ts";
import { type CodeMessage, enqueueMessage } from "../messages/enqueue-message.ts";
import { type Recipient, recipientOf } from "../messages/recipient.ts";
import { type Reach, reached } from "../messages/sms-limits.ts";
import { deedOf, type Occasion } from "../occasion.ts";
import { takeCommon } from "../verification/send-limits.ts";
import { channelsOf, preferredChannel } from "./factors.ts";
import {
  BINDING_LENGTH,
  LONGEST_TARGET,
  type OobChallenge,
  type OobChannel,
  oobTicket,
  type PendingLogin,
} from "./mfa.ts";
import { spent } from "./open-login.ts";

export interface ChallengeRequest extends Occasion {
  readonly pending: PendingLogin;
  /** Undefined where nobody says: one that is left, the account's own channel first. */
  readonly channel: OobChannel | undefined;
  readonly sender: CodeMessage["sender"];
  /** Where the end user is; null when nothing is known. */
  readonly source: string | null;
  /** Who has sends of their own, that nobody else can spend: a browser that knows the person. */
  readonly own?: string | undefined;
  /** BCP 47; what the request asks for. Where it asks for none, the person's own counts, then the account's. */
  readonly locale: string | undefined;
  /** Keeps the oob_code for whoever asks; false where they asked for another at once: this one is sent to nobody then. */
  readonly keep?: (tx: Transaction, oob_code: Secret) => Promise<boolean>;
}

/**
 * Sends a binding code over one of the person's channels and returns the oob_code that it goes with. Where a password is
 * recovered and nothing is proved yet, people and channels that do not exist are answered alike: nothing is sent.
 *
 * @throws 400 invalid_request for the channel that a recovery began with; 400 invalid_grant once the person is gone; 404
 *   not_found when the person has no such factor; 429 too_many_requests.
 */
export async function challengeFactor(
  { directory, nudge }: Authentication,
  request: ChallengeRequest,
): Promise<Secret> {
  const { account, pending, now } = request;
  const { storage, master_keys } = directory;
  const { account_id } = account;
  const { user_id } = pending.subject;
  if (pending.recovery && request.channel === pending.first)
    throw refuseField("oob_channel", "used", "must be another one than that of the first code");
  const unproved = pending.first === "nothing";
  const user = await lookUpUser(directory, account_id, user_id);
  if (!user && !unproved) throw spent();
  const channels = await channelsOf(directory, account, pending);
  const channel = request.channel ?? nextChannel(account, pending, channels);
  const target = (user && channels.get(channel)) ?? null;
  if (target === null && !unproved) throw refuse("not_found", { message: `There is no second factor by ${channel}.` });
  const standing = unproved ? "known" : "own";
  const recipient = await recipientOf(channel, target, account, standing);
  const { challenge_id, key_version, counter } = newChallenge(master_keys, bindingCode(account_id)).challenge;
  const parts = { challenge_id: base64url(challenge_id), key_version, counter };
  const challenge: OobChallenge = { login_id: pending.id, channel, target, ...parts };
  const oob_code = sealTicket(master_keys, oobTicket(account_id), challenge, { part: target, longest: LONGEST_TARGET });
  const charges = unproved ? [] : senderCharges(directory, request);
  if (unproved) await chargeAsker(directory, request);
  const refused = await storage.write(async (tx) => {
    const refusal = await takeBudgetsIn(tx, charges, now);
    if (refusal) return refusal;
    if (request.keep && !(await request.keep(tx, oob_code))) return void (await giveBackIn(tx, charges, now));
    // Whoever only knows a name spends nothing of what its owner may have sent, nor is told what that is.
    const silent: Charge = { account_id, budget: "recovery_send", subject: user_id };
    const beyond = unproved && longestWait(await chargeAll(tx, [silent], now)) !== undefined;
    const reach = await (beyond ? withheld : reached)(tx, account, recipient, now);
    const locale = spokenOf(request.locale, user?.locale, account.settings.locale);
    return send(tx, { ...request, channel }, challenge, reach, locale);
  });
  if (refused) throw tooMany(refused);
  nudge();
  return oob_code;
}

const tooMany = ({ retry_after }: BudgetRefusal) => refuse("too_many_requests", { retry_after });

/** @throws 429 too_many_requests by what whoever began the recovery sent. */
async function chargeAsker(
  directory: Directory,
  { account, pending: { asker, client_id }, now }: ChallengeRequest,
): Promise<void> {
  const refused = asker && (await takeCommon(directory, account, { ...asker, client_id }, now, "recovery "));
  if (refused) throw tooMany(refused);
}

/**
 * Whoever holds one of two factors can begin as many logins as they like: what they have sent from where they are, of IPv6
 * from a whole site, takes nothing of what others have sent elsewhere, and a browser that knows the person waits for nobody.
 */
function senderCharges(
  { master_keys }: Directory,
  { account: { account_id }, pending, source, own }: ChallengeRequest,
): readonly Charge[] {
  const { user_id } = pending.subject;
  const placeOf = (address: string) =>
    siteSubject(master_keys, account_id, address) ?? sourceSubject(master_keys, account_id, address);
  const from = own ?? (source === null ? "nowhere" : placeOf(source));
  const there: Charge = { account_id, budget: "factor_send", subject: `${user_id} ${from}` };
  const in_all: Charge = { account_id, budget: "factor_send_all", subject: user_id };
  return own === undefined ? [there, in_all] : [there];
}

/** What reaches nobody, since they have got enough, asks the database for as much as what does. */
async function withheld(tx: Transaction, account: Account, recipient: Recipient, now: number): Promise<Reach> {
  await reached(tx, account, { ...recipient, to: null, country: null }, now);
  return { to: null, told: { outcome: "failure", facts: { withheld: "recovered too often" } } };
}

/** The same one for everybody while nothing is proved. @throws 404 not_found when the first factor was the only channel. */
function nextChannel(account: Account, { first }: PendingLogin, channels: ReadonlyMap<OobChannel, string>): OobChannel {
  if (first === "nothing") return "sms";
  const channel = preferredChannel(account, channels);
  if (channel) return channel;
  throw refuse("not_found", { message: "There is no second factor by sms or email that differs from the first." });
}

/** What every binding code is like. */
const bindingCode = (account_id: string) => ({ account_id, format: "numeric", length: BINDING_LENGTH }) as const;

/** What the binding code is derived from. */
export function bindingChallenge(account_id: string, challenge: OobChallenge): Challenge {
  const { challenge_id, key_version, counter } = challenge;
  return { ...bindingCode(account_id), challenge_id: Buffer.from(challenge_id, "base64url"), key_version, counter };
}

async function send(
  tx: Transaction,
  request: ChallengeRequest & { readonly channel: OobChannel },
  challenge: OobChallenge,
  { to, told }: Reach,
  locale: string,
): Promise<void> {
  const { account, pending, channel, sender, now } = request;
  const code = {
    ...bindingChallenge(account.account_id, challenge),
    id: randomUUID(),
    expires_at: instant(pending.expires_at),
    link_digest: null,
  };
  const message = { account, sender, code, kind: "verification", purpose: "second_factor", locale, now } as const;
  await enqueueMessage(tx, { ...message, connection: channel, strategy: channel, to });
  const challenged = { action: "second_factor.challenged", entity: pending.subject.user_id };
  await recordDeed(tx, deedOf(request, { ...challenged, ...told, facts: { channel, ...told.facts } }));
}
