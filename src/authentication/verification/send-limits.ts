import type { Directory } from "../../directory/directory.ts";
import { type Charge, limitOf, type Taken } from "../../limits/budgets.ts";
import { longestWait, takeBudget, takeBudgets, takeNarrowing } from "../../limits/limits.ts";
import { siteSubject, sourceSubject } from "../../limits/source.ts";
import type { Login } from "./login.ts";
import type { SendRequest } from "./send.ts";

export interface ChargedSend {
  /** It is one of those that the caller has of its own. */
  readonly own: boolean;
  /** Undefined when the send is allowed. */
  readonly refused: SendRefusal | undefined;
}

export interface SendRefusal {
  /** Seconds to wait. */
  readonly retry_after: number;
  /** No limit that refuses it has refused another in its window before. */
  readonly first: boolean;
}

/**
 * Takes the visible budgets of a send: they depend on nothing but what the caller sent. A caller that administers the
 * account, and a browser that knows the person, has sends of its own for each identifier, which nobody else can spend,
 * nor use up what a client may send of them; after those it shares the common ones. What its source may not send any more,
 * or the identifier not get, takes nothing of what others share: that would be used up by refusals.
 *
 * Counted before anything is sent, since others wait for whoever holds the row of a whole client's sends.
 */
export async function chargeSend(
  { storage, master_keys }: Directory,
  { account, client, source, own, now }: SendRequest,
  { identifier }: Login,
): Promise<ChargedSend> {
  const { account_id, settings } = account;
  const charge = (budget: Charge["budget"], subject: string, limit?: number): Charge => ({
    account_id,
    budget,
    subject,
    ...(limit === undefined ? {} : { limit }),
  });
  const perClient = (subject: string) => charge("send_client", subject, settings.client_sends_per_minute);
  if (own !== null) {
    const mine = await takeBudget(storage, charge("send_own", `${identifier} ${own}`), now);
    if (mine.allowed) return { own: true, refused: await take(takeBudgets, [perClient(`own ${client.id}`)]) };
  }
  const common = [charge("send_identifier", identifier), perClient(client.id)];
  return { own: false, refused: (await take(takeNarrowing, fromSource())) ?? (await take(takeBudgets, common)) };

  async function take(by: typeof takeBudgets, step: readonly Charge[]): Promise<SendRefusal | undefined> {
    return refusalOf(step, await by(storage, step, now));
  }

  /** What it may send at all, what its neighbours and it may, and what it may send to this identifier. */
  function fromSource(): readonly Charge[] {
    if (source === null) return [];
    const from = sourceSubject(master_keys, account_id, source);
    const site = siteSubject(master_keys, account_id, source);
    const wide = site === undefined ? [] : [charge("send_site", site)];
    return [charge("send_source", from), ...wide, charge("send_identifier_source", `${identifier} ${from}`)];
  }
}

function refusalOf(step: readonly Charge[], taken: readonly Taken[]): SendRefusal | undefined {
  const retry_after = longestWait(taken);
  if (retry_after === undefined) return undefined;
  const beyond = step.map((charge, place) => (taken[place]?.count ?? 0) - limitOf(charge));
  return { retry_after, first: beyond.every((count) => count <= 1) };
}
