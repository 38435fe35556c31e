import { recordDeed } from "../../audit/audit.ts";
import type { Client } from "../../directory/clients/client.ts";
import { pageHost } from "../../directory/grants/audience.ts";
import { spokenOf } from "../../http/languages.ts";
import type { Charge } from "../../limits/budgets.ts";
import { chargeAll, peekBudget } from "../../limits/limits.ts";
import { instant } from "../../storage/storage.ts";
import type { Authentication } from "../authentication.ts";
import { enqueueMessage, noCode, senderOf } from "../messages/enqueue-message.ts";
import { recipientOf } from "../messages/recipient.ts";
import { reached } from "../messages/sms-limits.ts";
import { deedOf, type Occasion } from "../occasion.ts";
import type { GuessWindow } from "./guess-window.ts";
import { issueCode } from "./issue-code.ts";
import { selectPersonNow, selectUserBy } from "./people-store.ts";
import { waitForTurn } from "./wait-for-turn.ts";

export interface Closing extends Occasion {
  readonly client: Client;
  /** What was guessed at. Canonical. */
  readonly audience: string;
  readonly person: string;
  /** As the guess left it behind. */
  readonly window: Pick<GuessWindow, "window_ends_at">;
}

/**
 * Numeric codes are closed for a person, after too many wrong guesses in their name. They are told, once for each closing,
 * and the message carries a typable code for the very login that was attacked, so that nobody is locked out. One of the hosted
 * login would be good in the browser of whoever guessed alone: there they ask for another one, which is typable then. Where
 * there is nobody to tell, the same rows are written, so that the closing guess takes as long.
 */
export async function sendClosingNotice({ directory, nudge }: Authentication, closing: Closing): Promise<void> {
  const { account, client, audience, person, window, actor, now } = closing;
  const { account_id, settings } = account;
  const { storage, public_url } = directory;
  const telling: Charge = { account_id, budget: "closing_notice", subject: `${person} ${window.window_ends_at}` };
  if (!(await peekBudget(storage.read, telling, now)).allowed) return;
  const identifier = { type: "user_id", value: person } as const;
  const user = await selectUserBy(storage.read, account_id, client.settings.user_type, identifier);
  const { email, phone_number } = user ?? { email: null, phone_number: null };
  const strategy = email === null && phone_number !== null ? ("sms" as const) : ("email" as const);
  const found = email ?? phone_number;
  const recipient = await recipientOf(strategy, found, account, "known");
  const host = pageHost(public_url, audience);
  await storage.write(async (tx) => {
    const [told] = await chargeAll(tx, [telling], now);
    if (!told?.allowed) return;
    // As a send does: who leaves the address meanwhile waits for this, or has left it already.
    await waitForTurn(tx, account_id, person, now);
    const there = await selectPersonNow(tx.db, account_id, person);
    const to = found === (strategy === "sms" ? there.phone_number : there.email) ? found : null;
    const holds_code = host === undefined;
    const reach = await reached(tx, account, { ...recipient, to }, now, holds_code);
    const code = {
      account,
      client,
      audience,
      person,
      user_id: user?.id ?? null,
      format: "typable" as const,
      connection: strategy,
      signup: false,
      email: strategy === "email" ? to : null,
      phone_number: strategy === "sms" ? to : null,
      created_by: actor,
      last_sent_at: instant(now),
      now,
    };
    await enqueueMessage(tx, {
      account,
      sender: senderOf(account, client, host),
      code: holds_code ? (await issueCode(tx.db, directory, code)).row : noCode(now),
      kind: "notice",
      purpose: holds_code ? "numeric_closed" : "page_guessed",
      connection: strategy,
      strategy,
      to: reach.to,
      locale: spokenOf(there.locale, settings.locale),
      now,
    });
    const closed = { action: "verification_code.numeric_closed", entity: person, ...reach.told };
    await recordDeed(tx, deedOf(closing, closed));
  });
  nudge();
}
