import type { Directory } from "../../directory/directory.ts";
import type { Charge, Taken } from "../../limits/budgets.ts";
import { takeBudgets } from "../../limits/limits.ts";
import { sourceSubject } from "../../limits/source.ts";
import type { Login } from "./login.ts";
import type { SendRequest } from "./send.ts";

/**
 * Takes the visible budgets of a send: they depend on nothing but what the caller sent. A caller that administers the
 * account, and a browser that knows the person, has sends of its own for each identifier, which nobody else can spend;
 * after those it shares the common ones.
 *
 * Counted before anything is sent, since others wait for whoever holds the row of a whole client's sends.
 *
 * @returns seconds to wait, or undefined when the send is allowed.
 */
export async function chargeSend(
  { storage, master_keys }: Directory,
  { account, client, source, own, now }: SendRequest,
  { identifier }: Login,
): Promise<number | undefined> {
  const { account_id, settings } = account;
  const from = source === null ? null : sourceSubject(master_keys, account_id, source);
  const charge = (budget: Charge["budget"], subject: string, limit?: number): Charge => ({
    account_id,
    budget,
    subject,
    ...(limit === undefined ? {} : { limit }),
  });
  const perClient = charge("send_client", client.id, settings.client_sends_per_minute);
  if (own !== null) {
    const [mine, ofClient] = await takeBudgets(storage, [charge("send_own", `${identifier} ${own}`), perClient], now);
    if (ofClient && !ofClient.allowed) return ofClient.retry_after;
    if (mine?.allowed) return undefined;
  }
  const common = [
    ...(own !== null ? [] : [perClient]),
    charge("send_identifier", identifier),
    ...(from === null ? [] : [charge("send_identifier_source", `${identifier} ${from}`), charge("send_source", from)]),
  ];
  return longestWait(await takeBudgets(storage, common, now));
}

function longestWait(taken: readonly Taken[]): number | undefined {
  const refused = taken.filter(({ allowed }) => !allowed).map(({ retry_after }) => retry_after);
  return refused.length === 0 ? undefined : Math.max(...refused);
}
