import type { Deed, RequestFacts } from "../audit/audit.ts";
import type { Account } from "../directory/accounts/account.ts";
import { actorFrom } from "../directory/actor.ts";
import { instant } from "../storage/storage.ts";

/** On what occasion something is asked for: of which account, by whom, from where, and when. */
export interface Occasion {
  readonly account: Account;
  /** Subject of the bearer; at the hosted login its client. */
  readonly actor: string;
  readonly facts: RequestFacts;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** It alone, of what says more. */
export const occasionOf = ({ account, actor, facts, now }: Occasion): Occasion => ({ account, actor, facts, now });

/** What was done then, or attempted, by whoever asked. */
export const deedOf = (
  { account, actor, facts, now }: Occasion,
  deed: Pick<Deed, "action" | "outcome" | "entity" | "facts">,
): Deed => ({ ...deed, account_id: account.account_id, now: instant(now), actor: actorFrom(actor, facts) });
