import { recordDeed } from "../../audit/audit.ts";
import type { LoginChange } from "../../delivery/delivery.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { lookUpUserIn } from "../../directory/users/find-user.ts";
import type { User } from "../../directory/users/user.ts";
import type { VerifiedField } from "../../directory/users/verify-contact.ts";
import { spokenOf } from "../../http/languages.ts";
import type { Charge } from "../../limits/budgets.ts";
import { chargeAll } from "../../limits/limits.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { enqueueMessage, noCode, senderIs } from "./enqueue-message.ts";
import { recipientOf, strategyOf } from "./recipient.ts";
import { reached } from "./sms-limits.ts";

type Changes = readonly [LoginChange, ...LoginChange[]];

/** Milliseconds: so long whoever verified another address is not the only one who hears. */
const NEW_ADDRESS = 7 * 24 * 3_600_000;

/**
 * A person hears, in one message, what changed at once about how they log in. Part of the transaction of the change, which holds
 * the person: so it goes where they are then, and only where somebody proved to be. Of each kind of change so many an hour are
 * told (`change_notice`); where others are not, the audit trail says so.
 */
export async function tellOfChange(
  tx: Transaction,
  account: Account,
  user_id: string,
  changes: Changes,
  now: number,
): Promise<void> {
  const { account_id } = account;
  const user = await lookUpUserIn(tx.db, account_id, user_id);
  const hearers = user ? hearersOf(user, now) : [];
  if (!user || hearers.length === 0) return;
  const noticeOf = (change: LoginChange): Charge => ({
    ...{ account_id, budget: "change_notice", subject: `${user_id} ${change}` },
  });
  const taken = await chargeAll(tx, changes.map(noticeOf), now);
  if (taken.some(({ allowed }) => allowed)) {
    for (const field of hearers) await tellOver(tx, account, user, field, changes, now);
  } else await noteUntold(tx, user, { changes, withheld: "told too often" }, now);
}

/** The address where there is one, else the number. One that came before a new address hears as well. */
function hearersOf({ email_verified_at, phone_verified_at }: User, now: number): readonly VerifiedField[] {
  if (email_verified_at === null) return phone_verified_at === null ? [] : ["phone_number"];
  const is_new = email_verified_at > instant(now - NEW_ADDRESS);
  const came_before = phone_verified_at !== null && phone_verified_at < email_verified_at;
  return is_new && came_before ? ["email", "phone_number"] : ["email"];
}

/** Tells it to this address or number of `user`, as it is there. */
export async function tellOver(
  tx: Transaction,
  account: Account,
  user: User,
  field: VerifiedField,
  changes: Changes,
  now: number,
): Promise<void> {
  const [purpose, ...further] = changes;
  const strategy = strategyOf(field);
  const recipient = await recipientOf(strategy, user[field], account, "known");
  const { to, told } = await reached(tx, account, recipient, now, false);
  if (to === null) return noteUntold(tx, user, { changes, ...told.facts }, now);
  await enqueueMessage(tx, {
    ...{ account, sender: senderIs(account), code: noCode(now), kind: "notice", purpose, further },
    ...{ connection: strategy, strategy, to, locale: spokenOf(user.locale, account.settings.locale), now },
  });
}

function noteUntold(tx: Transaction, { account_id, id }: User, facts: object, now: number): Promise<void> {
  const withheld = { action: "message.withheld", outcome: "failure", entity: id } as const;
  const actor = { id: null, context: {} };
  return recordDeed(tx, { ...withheld, account_id, now: instant(now), actor, facts: { kind: "notice", ...facts } });
}
