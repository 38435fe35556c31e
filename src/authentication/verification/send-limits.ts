import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import type { BudgetName, BudgetRefusal, Charge } from "../../limits/budgets.ts";
import { type Steps, takeBudget, takeBudgets } from "../../limits/limits.ts";
import { sourceCharges, sourceSubject } from "../../limits/source.ts";
import type { Login } from "./login.ts";
import type { SendRequest } from "./send.ts";

export interface ChargedSend {
  /** It is one of those that the caller has of its own. */
  readonly own: boolean;
  /** Undefined when the send is allowed. */
  readonly refused: BudgetRefusal | undefined;
}

/**
 * Takes the visible budgets of a send: they depend on nothing but what the caller sent. A caller that administers the
 * account, and a browser that knows the person, has sends of its own for each identifier, which nobody else can spend,
 * nor use up what a client may send of them; after those it shares the common ones. A login whose code was closed gets the
 * longer one beyond what the identifier may get: whoever used that up may have closed it too. What its source may not send any
 * more, or the identifier not get, takes nothing of what others share: that would be used up by refusals.
 *
 * Counted before anything is sent, since others wait for whoever holds the row of a whole client's sends.
 */
export async function chargeSend(
  directory: Directory,
  { account, client, source, own, in_place_of_closed, now }: SendRequest,
  { identifier, resumed }: Login,
): Promise<ChargedSend> {
  const { storage } = directory;
  const { account_id } = account;
  const client_id = client.id;
  if (own !== null) {
    const charge: Charge = { account_id, budget: "send_own", subject: `${identifier} ${own}` };
    const mine = await takeBudget(storage, charge, now);
    if (mine.allowed)
      return { own: true, refused: await takeBudgets(storage, [ofClient(account, `own ${client_id}`)], now) };
  }
  const common = { identifier: in_place_of_closed && resumed ? null : identifier, source, client_id };
  return { own: false, refused: await takeCommon(directory, account, common, now) };
}

export interface CommonSend {
  /** A keyed digest of what the caller named; null where what it may get is not asked for. */
  readonly identifier: string | null;
  /** Where the end user is; null when nothing is known. */
  readonly source: string | null;
  readonly client_id: string;
}

/**
 * Takes what no caller has of its own: first what its source may send to this identifier, then what that may send at all, and
 * last what is its neighbours' and everybody's. `apart` stands before the subjects of sends that take nothing of logins.
 * `now` in milliseconds.
 */
export async function takeCommon(
  { storage, master_keys }: Directory,
  account: Account,
  { identifier, source, client_id }: CommonSend,
  now: number,
  apart = "",
): Promise<BudgetRefusal | undefined> {
  const { account_id } = account;
  const charge = (budget: BudgetName, subject: string) => ({ account_id, budget, subject: `${apart}${subject}` });
  const ofIdentifier = (budget: BudgetName, from = "") =>
    identifier === null ? [] : [charge(budget, `${identifier}${from}`)];
  const of_all = [...ofIdentifier("send_identifier"), ofClient(account, `${apart}${client_id}`)];
  return takeBudgets(storage, source === null ? [of_all] : within(source), now);

  function within(address: string): Steps {
    const shared = sourceCharges(master_keys, account_id, address, ["send_source", "send_site"]);
    const [of_source = [], ...of_site] = shared.map((one) => ({ ...one, subject: `${apart}${one.subject}` }));
    const from = sourceSubject(master_keys, account_id, address);
    return [ofIdentifier("send_identifier_source", ` ${from}`), of_source, [...of_site, ...of_all]];
  }
}

const ofClient = ({ account_id, settings }: Account, subject: string): Charge => ({
  account_id,
  budget: "send_client",
  subject,
  limit: settings.client_sends_per_minute,
});
