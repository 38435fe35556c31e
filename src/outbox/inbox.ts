import type { Storage } from "../storage/storage.ts";
import type { OutboxRow } from "./outbox.ts";
import { selectInbox } from "./store.ts";

/** The messages in an account's sandbox inboxes, newest first; `inbox` null means all of them. */
export function listInbox(
  storage: Storage,
  account_id: string,
  inbox: string | null,
  limit: number,
): Promise<OutboxRow[]> {
  return selectInbox(storage.read, account_id, inbox, limit);
}
