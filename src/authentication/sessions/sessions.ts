import { randomUUID } from "node:crypto";
import { recordDeed } from "../../audit/audit.ts";
import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import { sha256 } from "../../secrets/digest.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import type { AuthenticatedSubject } from "../subject.ts";
import { newBrowser, type Session } from "./session.ts";
import {
  insertAuthorization,
  insertSession,
  type SessionAuthorization,
  selectAuthorizations,
  selectAuthorizationsOf,
  selectSessions,
  updateBrowser,
  updateEnded,
  updateEndedOf,
  updateIdle,
} from "./store.ts";

/** Who is logged in in a browser, the newest login first. */
export async function findSessions(
  { storage }: Directory,
  account_id: string,
  browser: Uint8Array | undefined,
): Promise<readonly Session[]> {
  return browser ? selectSessions(storage.read, account_id, browser, instant(storage.now())) : [];
}

export interface Begun {
  readonly session: Session;
  /** The browser's new cookie. */
  readonly browser: Secret;
}

/** Somebody has logged in: a session of theirs, under a cookie that the browser did not have before. */
export async function beginSession(
  { storage }: Directory,
  { account_id, settings }: Account,
  subject: AuthenticatedSubject,
  before: Uint8Array | undefined,
): Promise<Begun> {
  const now = storage.now();
  const browser = newBrowser();
  const digest = sha256(reveal(browser));
  const session: Session = {
    account_id,
    id: randomUUID(),
    user_id: subject.user_id,
    auth_time: subject.authenticated_at,
    amr: subject.amr,
    created_at: instant(now),
    idle_expires_at: instant(now + settings.session_idle_lifetime * 1000),
    expires_at: instant(now + settings.session_lifetime * 1000),
  };
  await storage.write(async (tx) => {
    if (before) {
      await updateEndedOf(tx.db, account_id, before, subject.user_id, instant(now));
      await updateBrowser(tx.db, account_id, before, digest);
    }
    await insertSession(tx.db, session, digest);
    const actor = { id: subject.user_id, context: { amr: subject.amr } };
    await recordDeed(tx, { account_id, action: "session.begun", entity: session.id, now: session.created_at, actor });
  });
  return { session, browser };
}

/** How often a session's idle end is moved; milliseconds. */
const RESOLUTION = 60_000;

/** The session was used: it does not lie idle. */
export async function touchSession({ storage }: Directory, { settings }: Account, session: Session): Promise<void> {
  const next = storage.now() + settings.session_idle_lifetime * 1000;
  if (next - Date.parse(session.idle_expires_at) < RESOLUTION) return;
  await storage.write((tx) => updateIdle(tx.db, session, instant(next)));
}

/** What a session led to is remembered, to be ended with it. */
export async function noteAuthorization(
  { storage }: Directory,
  session: Session,
  sid: string,
  client_id: string,
): Promise<void> {
  const { account_id, id: session_id, expires_at } = session;
  const row = { account_id, session_id, sid, client_id, created_at: instant(storage.now()), expires_at };
  await storage.write((tx) => insertAuthorization(tx.db, row));
}

/** Ends a session with everything it led to, at once. @returns what it led to. */
export async function endSession(
  { storage, revocations }: Directory,
  { account_id, id, user_id }: Pick<Session, "account_id" | "id" | "user_id">,
): Promise<readonly SessionAuthorization[]> {
  const now = instant(storage.now());
  const led = await selectAuthorizations(storage.read, account_id, id);
  const revoked = led.map(({ sid }) => ({ account_id, subject: `sid:${sid}` }));
  await storage.write(async (tx) => {
    if (!(await updateEnded(tx.db, account_id, id, now))) return;
    for (const one of revoked) await revocations.record(tx, one);
    const actor = { id: user_id, context: {} };
    await recordDeed(tx, { account_id, action: "session.ended", entity: id, now, actor });
  });
  for (const one of revoked) revocations.announce(one);
  return led;
}

/** Every authorization that a person's sessions led to at one client. */
export function authorizationsOf(
  { storage }: Directory,
  account_id: string,
  user_id: string,
  client_id: string,
): Promise<readonly string[]> {
  return selectAuthorizationsOf(storage.read, account_id, user_id, client_id);
}
