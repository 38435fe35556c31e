import { randomUUID } from "node:crypto";
import { recordDeed } from "../../audit/audit.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { holdLogin } from "../../directory/users/logins-ended.ts";
import { refuse } from "../../errors.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { AuthenticatedSubject } from "../subject.ts";
import { moveSessions } from "./move-to-cookie.ts";
import type { NewSession } from "./session.ts";
import { insertSession, keepOwnLogin, updateShown } from "./store.ts";

/** A browser's cookies, digested. */
export interface Cookies {
  /** None where it had none. */
  readonly before?: Uint8Array | undefined;
  /** One that no browser had before. */
  readonly now: Uint8Array;
}

/**
 * Somebody has logged in: a session of theirs, under a cookie that the browser did not have before. Where they were
 * logged in already, their session goes on with what they showed now, so that its end is the end of all that it ever
 * led to. Part of a transaction. `milliseconds`: when the request came by which they log in.
 *
 * @returns its id. @throws 400 invalid_grant when their logins have ended since.
 */
export async function beginSession(
  tx: Transaction,
  { account_id, settings }: Account,
  subject: AuthenticatedSubject,
  cookies: Cookies,
  milliseconds: number,
): Promise<string> {
  const now = instant(milliseconds);
  // Before any row of a session, as whoever ends them does.
  if (!(await holdLogin(tx, { account_id, user_id: subject.user_id }, now)))
    throw refuse("invalid_grant", { message: "The login was revoked." });
  const session: NewSession = {
    account_id,
    id: randomUUID(),
    user_id: subject.user_id,
    auth_time: subject.authenticated_at,
    amr: subject.amr,
    provider: subject.provider ?? null,
    created_at: now,
    idle_expires_at: instant(milliseconds + settings.session_idle_lifetime * 1000),
    expires_at: instant(milliseconds + settings.session_lifetime * 1000),
  };
  const going = cookies.before && (await goOn(tx, session, cookies.before, cookies.now));
  if (going === undefined) await insertSession(tx.db, session, cookies.now);
  const session_id = going ?? session.id;
  const actor = { id: subject.user_id, context: { amr: subject.amr } };
  const action = going === undefined ? "session.begun" : "session.continued";
  await recordDeed(tx, { account_id, action, entity: session_id, now, actor });
  return session_id;
}

/** The browser's sessions follow its new cookie, all of them held before one is changed. @returns as `updateShown`. */
async function goOn(tx: Transaction, session: NewSession, before: Uint8Array, now: Uint8Array) {
  const { account_id, created_at } = session;
  await moveSessions(tx.db, { account_id, from: before, to: now }, created_at);
  if (session.provider !== null) await keepOwnLogin(tx.db, now, session);
  return updateShown(tx.db, now, session);
}
