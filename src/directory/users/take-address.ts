import { recordDeed } from "../../audit/audit.ts";
import type { Instant, Transaction } from "../../storage/storage.ts";
import { updateAddressTaken } from "./store.ts";
import type { User } from "./user.ts";

/**
 * An address belongs to whoever verifies it: it leaves the record of whoever merely entered it. Part of the transaction in
 * which `user` verifies it; of several at once one does.
 */
export async function takeAddress(
  tx: Transaction,
  user: Pick<User, "account_id" | "type" | "id">,
  email_canonical: string,
  now: Instant,
  context: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const entity = await updateAddressTaken(tx.db, user, email_canonical, now);
  if (entity === undefined) return;
  const { account_id, id } = user;
  await recordDeed(tx, { account_id, action: "user.address_taken", entity, now, actor: { id, context } });
}
