import { findSessions } from "../../authentication/sessions/sessions.ts";
import type { Directory } from "../../directory/directory.ts";
import { listConsents } from "./consent.ts";
import type { AnswerTo } from "./refuse-at.ts";

/**
 * Whether a browser may be sent to a client with an error that nobody saw. A client that registered itself could otherwise use this
 * server's address to lead people anywhere (RFC 9700 §4.11.2): to its callback goes only whoever has agreed to it before.
 */
export async function mayGoThere(
  directory: Directory,
  account_id: string,
  { unchecked }: AnswerTo,
  browser: Uint8Array | undefined,
): Promise<boolean> {
  if (unchecked === undefined) return true;
  const sessions = await findSessions(directory, account_id, browser);
  const agreed = await Promise.all(sessions.map(({ user_id }) => listConsents(directory, account_id, user_id)));
  return agreed.flat().some(({ client_id }) => client_id === unchecked);
}
