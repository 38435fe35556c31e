import type { Bearer } from "../../http/contract.ts";
import { spendBudget } from "../../limits/limits.ts";
import type { Storage } from "../../storage/storage.ts";

/** Whoever may only ask whether somebody exists may not ask for long. @throws 429 too_many_requests. */
export async function chargeQuestion(storage: Storage, { account_id, client_uuid }: Bearer): Promise<void> {
  const charge = { account_id, budget: "exists_client", subject: client_uuid } as const;
  await spendBudget(storage, charge, storage.now());
}
