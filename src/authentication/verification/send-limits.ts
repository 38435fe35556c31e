import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import type { BudgetName, BudgetRefusal, Charge } from "../../limits/budgets.ts";
import { type Steps, takeBudgets } from "../../limits/limits.ts";
import { sourceCharges, sourceSubject } from "../../limits/source.ts";
import { base64url, hmac } from "../../secrets/digest.ts";
import type { Login } from "./login.ts";
import type { SendRequest } from "./send.ts";

/** So often somebody may ask within a pause by sends of their own, which takes nothing: what goes on is what anybody does. */
const OWN_IN_PAUSE = 10;

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
 * Whoever asks again while nothing more is sent takes nothing of what the identifier may get, or a stranger would use
 * that up with one message. That pause is told by what callers sent too, since a code that was entered says who is known.
 * Only who may send from where they are begins one, and who is refused later ends it: in a pause that nobody paid for,
 * others would send for nothing.
 *
 * Counted before anything is sent, since others wait for whoever holds the row of a whole client's sends.
 */
export async function chargeSend(directory: Directory, request: SendRequest, login: Login): Promise<ChargedSend> {
  const { storage, master_keys } = directory;
  const { account, client, connection, source, own, in_place_of_closed, now } = request;
  const { account_id } = account;
  const { identifier, audience, resumed } = login;
  const key = master_keys.derive(master_keys.current, account_id, "identifier");
  const subject = base64url(hmac(key, "send", identifier, client.id, connection.name, audience));
  const pause: Charge = { account_id, budget: "send_pause", subject };
  if (own !== null) {
    const once_in: Charge = { ...pause, limit: OWN_IN_PAUSE };
    const mine: Charge = { account_id, budget: "send_own", subject: `${identifier} ${own}`, once_in };
    const of_client: Charge = { ...ofClient(account, `own ${client.id}`), once_in };
    const refused = await takeBudgets(storage, [once_in, mine, of_client], now);
    if (!refused || refused.by.every((budget) => budget === "send_client")) return { own: true, refused };
  }
  const common = { identifier: in_place_of_closed && resumed ? null : identifier, source, client_id: client.id };
  return { own: false, refused: await takeBudgets(storage, commonSteps(directory, account, common, { pause }), now) };
}

export interface CommonSend {
  /** A keyed digest of what the caller named; null where what it may get is not asked for. */
  readonly identifier: string | null;
  /** Where the end user is; null when nothing is known. */
  readonly source: string | null;
  readonly client_id: string;
}

/** Takes what no caller has of its own. `apart` stands before the subjects of sends that take nothing of logins. */
export const takeCommon = (
  directory: Directory,
  account: Account,
  common: CommonSend,
  now: number,
  apart: string,
): Promise<BudgetRefusal | undefined> =>
  takeBudgets(directory.storage, commonSteps(directory, account, common, { apart }), now);

/**
 * First what its source may send to this identifier, then what that may send at all, and last what is its neighbours' and
 * everybody's.
 */
function commonSteps(
  { master_keys }: Directory,
  account: Account,
  { identifier, source, client_id }: CommonSend,
  { apart = "", pause }: { readonly apart?: string; readonly pause?: Charge },
): Steps {
  const { account_id } = account;
  const charge = (budget: BudgetName, subject: string) => ({ account_id, budget, subject: `${apart}${subject}` });
  const of_recipient = identifier === null ? [] : [{ ...charge("send_identifier", identifier), once_in: pause }];
  const in_all = [...(pause ? [pause] : []), [...of_recipient, ofClient(account, `${apart}${client_id}`)]];
  if (source === null) return in_all;
  const named = sourceCharges(master_keys, account_id, source, ["send_source", "send_site"]);
  const shared = named.map((one) => ({ ...one, subject: `${apart}${one.subject}` }));
  const from = sourceSubject(master_keys, account_id, source);
  const of_both = identifier === null ? [] : [charge("send_identifier_source", `${identifier} ${from}`)];
  return [of_both, ...shared, ...in_all];
}

const ofClient = ({ account_id, settings }: Account, subject: string): Charge => ({
  account_id,
  budget: "send_client",
  subject,
  limit: settings.client_sends_per_minute,
});
