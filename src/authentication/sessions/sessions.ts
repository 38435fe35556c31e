import { randomUUID } from "node:crypto";
import { recordDeed } from "../../audit/audit.ts";
import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import { holdLogin } from "../../directory/users/logins-ended.ts";
import { refuse } from "../../errors.ts";
import { TOKENS_LIVE } from "../../revocation/revocation.ts";
import { expirySweep } from "../../storage/delete-expired.ts";
import { inPages, nextTurn } from "../../storage/pages.ts";
import { type Database, type Instant, instant, type Transaction } from "../../storage/storage.ts";
import type { AuthenticatedSubject } from "../subject.ts";
import { beginEndings, finishEndings, leaveOlder, newEnding } from "./endings.ts";
import { moveSessions, settleSessions } from "./move-to-cookie.ts";
import type { NewSession, Session } from "./session.ts";
import {
  insertSession,
  keepOwnLogin,
  type PersonsSessions,
  selectAuthorizationsSince,
  selectLedTo,
  selectSessions,
  selectSessionsOf,
  selectUnended,
  selectUnendedOf,
  updateEnded,
  updateShown,
} from "./store.ts";

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

type EndedSession = Pick<Session, "account_id" | "id" | "user_id">;

/**
 * Ends a session, and then everything it led to, page by page; clients that asked for it are told (OpenID Connect Back-Channel
 * Logout).
 */
export async function endSession(directory: Directory, { account_id, id, user_id }: EndedSession): Promise<void> {
  const { storage, revocations } = directory;
  const left = await storage.write(async (tx) => {
    const now = storage.now();
    const ended = await updateEnded(tx.db, account_id, [id], instant(now));
    const endings = ended.map((session_id) => newEnding(account_id, session_id, user_id));
    const { led, left } = await beginEndings(tx, endings, now);
    await revocations.record(tx, account_id, led);
    return left;
  });
  if (left) await finishEndings(directory, { account_id, user_id });
}

/** As many as one statement takes. */
const NEWEST = 500;

/**
 * Ends every session of a person but that which led to the login that goes on (empty for none): part of the transaction
 * that has noted it in their row, by which nobody is logged in by them any more. The newest end here, whatever the
 * clock by which they began, with the first page of what they led to; the rest after that transaction, and older
 * refresh tokens, where there are more than have ended in it.
 *
 * @returns the first page, for the same transaction to revoke.
 */
export async function endSessionsOf(
  tx: Transaction,
  directory: Directory,
  { account_id, user_id, except, more_families }: PersonsSessions & { readonly more_families: boolean },
  now: number,
): Promise<readonly string[]> {
  const whose = { account_id, user_id, except };
  const some = await selectUnendedOf(tx.db, whose, "id", NEWEST + 1);
  const more = some.length > NEWEST;
  // Before any of them is held, as by whoever ends the older ones.
  if (more || more_families) await leaveOlder(tx, { account_id, user_id });
  const newest = more ? await selectUnendedOf(tx.db, whose, "created_at desc", NEWEST) : some;
  const ended = newest.length > 0 ? await updateEnded(tx.db, account_id, newest, instant(now)) : [];
  const endings = ended.map((id) => newEnding(account_id, id, user_id));
  const { led, left } = await beginEndings(tx, endings, now);
  // Where it fails, or the process ends first, the janitor goes on.
  if (left || more || more_families)
    tx.onDisk(() => void finishEndings(directory, { account_id, user_id }).catch(() => {}));
  return led;
}

/** A person's sessions, as far as they led to one client. */
interface LedTo {
  readonly account_id: string;
  readonly user_id: string;
  readonly client_id: string;
}

/** Rows that are read together. */
const PAGE = 100;

/** Every authorization that they led to there. */
export async function* pagesOfAuthorizations(
  db: Database,
  { account_id, user_id, client_id }: LedTo,
): AsyncGenerator<readonly string[]> {
  const sessions = inPages<{ readonly id: string }>(PAGE, (last) =>
    selectSessionsOf(db, { account_id, user_id }, last?.id ?? "", PAGE),
  );
  for await (const page of sessions) {
    for (const { id: session_id } of page) {
      const led = inPages<{ readonly sid: string }>(PAGE, (last) =>
        selectLedTo(db, { account_id, session_id, client_id }, last?.sid ?? "", PAGE),
      );
      for await (const some of led) yield some.map(({ sid }) => sid);
      // One that led to very much elsewhere is read for nothing.
      await nextTurn();
    }
  }
}

/** … that began since. */
export const authorizationsSince = (db: Database, led: LedTo, since: Instant): Promise<readonly string[]> =>
  selectAuthorizationsSince(db, led, since);

/** What a session led to is known until every access token of it is over, so that taking back consent ends those too. */
export const browserSweeps = [
  expirySweep("browser sessions", { table: "sessions", key: ["id"] }, TOKENS_LIVE),
  expirySweep(
    "authorizations of sessions",
    { table: "session_authorizations", key: ["session_id", "sid"] },
    TOKENS_LIVE,
  ),
];
