import type { Client } from "../../directory/clients/client.ts";
import { noteTried } from "../../directory/clients/untried.ts";
import type { Directory } from "../../directory/directory.ts";
import { instant } from "../../storage/storage.ts";
import { NOTED_EVERY } from "./registration.ts";
import { selectRegistration, updateUsedAt } from "./store.ts";

/**
 * A client that registered itself is in use, so it stays. Whoever was noted lately costs a read and no write; what it got
 * it has whether that can be noted or not.
 */
export async function noteUsed({ storage }: Directory, { account_id, id, origin }: Client): Promise<void> {
  if (origin === "account") return;
  const now = storage.now();
  const before = instant(now - NOTED_EVERY);
  try {
    const registration = await selectRegistration(storage.read, account_id, id);
    if (!registration || registration.used_at >= before) return;
    await storage.write(async (tx) => {
      // The client before its registration, as where it gives way.
      // From now, however lately: the next use is noted in half an hour at the earliest.
      await noteTried(tx, { account_id, id }, now, now);
      await updateUsedAt(tx.db, registration, before, now);
    });
  } catch {}
}
