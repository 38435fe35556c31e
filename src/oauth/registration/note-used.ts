import type { Client } from "../../directory/clients/client.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import { noteTried } from "../../directory/clients/untried.ts";
import type { Directory } from "../../directory/directory.ts";
import { spendBudgets } from "../../limits/limits.ts";
import { sourceCharges } from "../../limits/source.ts";
import { instant } from "../../storage/storage.ts";
import { NOTED_EVERY } from "./registration.ts";
import { type Registered, selectRegistration, updateUsedAt } from "./store.ts";

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
      await noteTried(tx, { account_id, id }, now);
      await updateUsedAt(tx.db, registration, before, now);
    });
  } catch {}
}

/**
 * Somebody opens a login at a client: of strangers' others give way before it. Counted as new clients are, or logins that
 * nobody means would push others out more cheaply than those do; what is not noted goes on all the same.
 */
export async function noteLogin(
  directory: Directory,
  { account_id, client_id: id }: Registered,
  source: string,
): Promise<void> {
  const { storage, master_keys } = directory;
  const now = storage.now();
  const client = await lookUpClient(directory, account_id, id);
  if (!client?.untried_since || client.untried_since >= instant(now - NOTED_EVERY)) return;
  const charges = sourceCharges(master_keys, account_id, source, ["client_login_source", "client_login_site"]);
  try {
    await spendBudgets(storage, charges, now);
    await storage.write((tx) => noteTried(tx, client, now));
  } catch {}
}
