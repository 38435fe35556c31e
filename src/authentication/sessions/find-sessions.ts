import type { Directory } from "../../directory/directory.ts";
import { instant } from "../../storage/storage.ts";
import { settleSessions } from "./move-to-cookie.ts";
import type { Session } from "./session.ts";
import { selectSessions, selectUnended } from "./store.ts";

/** Who is logged in in a browser, the newest login first. By its cookie coming, the answer that set it has arrived. */
export async function findSessions(
  { storage }: Directory,
  account_id: string,
  browser: Uint8Array | undefined,
): Promise<readonly Session[]> {
  if (!browser) return [];
  const found = await selectSessions(storage.read, account_id, browser, instant(storage.now()));
  if (found.some(({ unsettled }) => unsettled)) await storage.write((tx) => settleSessions(tx.db, account_id, browser));
  return found;
}

/**
 * Whom a logout in a browser may mean: every session that was not ended. One that lies idle or whose time is over
 * counts, because what it led to lives on until it is ended; and so does one that moved to another cookie, as long as
 * that was not shown.
 */
export async function findUnended(
  { storage }: Directory,
  account_id: string,
  browser: Uint8Array | undefined,
): Promise<readonly Session[]> {
  return browser ? selectUnended(storage.read, account_id, browser) : [];
}
