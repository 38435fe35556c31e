import { recordDeed } from "../../audit/audit.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { Refusal } from "../../errors.ts";
import { leavesTrace } from "../guesses/trace.ts";
import { deedOf, type Occasion } from "../occasion.ts";

/** It is refused some time after it began. */
export interface UpstreamAttempt extends Omit<Occasion, "now"> {
  readonly client: Client;
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
  attempt: UpstreamAttempt,
  reason: string,
  detail?: string,
): Promise<void> {
  const { account, client, at_page = false } = attempt;
  const now = storage.now();
  const facts = { client_id: client.id, reason, ...(detail === undefined ? {} : { detail }) };
  const refused = { action: "upstream_login.refused", outcome: "failure", entity: client.id, facts } as const;
  await storage.write(async (tx) => {
    if (at_page && !(await leavesTrace(tx, master_keys, account.account_id, attempt.facts.ip, now))) return;
    await recordDeed(tx, deedOf({ ...attempt, now }, refused));
  });
}
