import { type RequestFacts, recordDeed } from "../../audit/audit.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { actorFrom } from "../../directory/actor.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { Refusal } from "../../errors.ts";
import { instant } from "../../storage/storage.ts";
import { leavesTrace } from "../guesses/trace.ts";

export interface UpstreamAttempt {
  readonly account: Account;
  readonly client: Client;
  readonly actor: string;
  readonly facts: RequestFacts;
  /** Anybody may try: what comes from one source leaves so many events. */
  readonly at_page?: boolean;
}

/** For `catch`: a login at a provider that is refused is in the audit trail with the reason, and refused all the same. */
export function recordRefused(directory: Directory, attempt: UpstreamAttempt) {
  return async (error: unknown): Promise<never> => {
    if (!(error instanceof Refusal) || error.status >= 500) throw error;
    await recordRefusal(directory, attempt, error.code, error.options.detail);
    throw error;
  };
}

export async function recordRefusal(
  { storage, master_keys }: Directory,
  { account, client, actor, facts, at_page = false }: UpstreamAttempt,
  reason: string,
  detail?: string,
): Promise<void> {
  const { account_id } = account;
  const now = storage.now();
  const deed = {
    account_id,
    action: "upstream_login.refused",
    outcome: "failure" as const,
    entity: client.id,
    now: instant(now),
    actor: actorFrom(actor, facts),
    facts: { client_id: client.id, reason, ...(detail === undefined ? {} : { detail }) },
  };
  await storage.write(async (tx) => {
    if (!at_page || (await leavesTrace(tx, master_keys, account_id, facts.ip, now))) await recordDeed(tx, deed);
  });
}
