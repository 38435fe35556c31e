import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { instant } from "../../storage/storage.ts";
import { updateUsedAt } from "./store.ts";

/** Noted once a day; milliseconds. */
const RESOLUTION = 86_400_000;

/** A client that registered itself is in use, so it stays. */
export async function noteUsed({ storage }: Directory, { account_id, id, origin }: Client): Promise<void> {
  if (origin === "account") return;
  const now = storage.now();
  const row = { account_id, client_id: id };
  await storage.write((tx) => updateUsedAt(tx.db, row, instant(now - RESOLUTION), now));
}
