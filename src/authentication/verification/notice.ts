import { type RequestFacts, recordDeed } from "../../audit/audit.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { actorFrom } from "../../directory/actor.ts";
import type { Client } from "../../directory/clients/client.ts";
import { pageHost } from "../../directory/grants/audience.ts";
import { instant } from "../../storage/storage.ts";
import type { Authentication } from "../authentication.ts";
import { enqueueMessage, senderOf } from "./enqueue-message.ts";
import { issueCode } from "./issue-code.ts";
import { recipientOf } from "./recipient.ts";
import { reached } from "./sms-limits.ts";
import { selectPersonNow, selectUserBy } from "./store.ts";
import { waitForTurn } from "./wait-for-turn.ts";

export interface Closing {
  readonly account: Account;
  readonly client: Client;
  readonly actor: string;
  readonly facts: RequestFacts;
  readonly now: number;
}

/**
 * Numeric codes have just closed for a person, after too many wrong guesses in their name. They are told, and the
 * message carries a typable code for the very login that was attacked, so that nobody is locked out. Where there is
 * nobody to tell, the same rows are written, so that the closing guess takes as long.
 */
export async function sendClosingNotice(
  { directory, nudge }: Authentication,
  { account, client, actor, facts, now }: Closing,
  audience: string,
  person: string,
): Promise<void> {
  const { account_id, settings } = account;
  const identifier = { type: "user_id", value: person } as const;
  const user = await selectUserBy(directory.storage.read, account_id, client.settings.user_type, identifier);
  const { email, phone_number } = user ?? { email: null, phone_number: null };
  const strategy = email === null && phone_number !== null ? ("sms" as const) : ("email" as const);
  const found = email ?? phone_number;
  const recipient = await recipientOf(strategy, found, account);
  await directory.storage.write(async (tx) => {
    // As a send does: who leaves the address meanwhile waits for this, or has left it already.
    await waitForTurn(tx, account_id, person, now);
    const there = await selectPersonNow(tx.db, account_id, person);
    const to = found === (strategy === "sms" ? there.phone_number : there.email) ? found : null;
    const reaches = await reached(tx, account, { ...recipient, to }, now);
    const issued = await issueCode(tx.db, directory, {
      account,
      client,
      audience,
      person,
      user_id: user?.id ?? null,
      format: "typable",
      connection: strategy,
      signup: false,
      email: strategy === "email" ? to : null,
      phone_number: strategy === "sms" ? to : null,
      created_by: actor,
      now,
    });
    const message = {
      account,
      sender: senderOf(account, client, pageHost(directory.public_url, audience)),
      code: issued.row,
      kind: "notice" as const,
      purpose: "numeric_closed" as const,
    };
    await enqueueMessage(tx, {
      ...message,
      connection: strategy,
      strategy,
      to: reaches,
      locale: there.locale ?? settings.locale,
      now,
    });
    const deed = { account_id, action: "verification_code.numeric_closed", entity: person, now: instant(now) };
    await recordDeed(tx, { ...deed, actor: actorFrom(actor, facts) });
  });
  nudge();
}
