import { randomUUID } from "node:crypto";
import { recordDeed } from "../../audit/audit.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { enqueue } from "../../outbox/outbox.ts";
import { sha256 } from "../../secrets/digest.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { AuthenticatedSubject } from "../subject.ts";
import { type NewSession, newBrowser, type Session } from "./session.ts";
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

/** The outbox kind that tells clients. */
export const BACKCHANNEL_LOGOUT = "backchannel_logout";

export interface Begun {
  readonly session: NewSession;
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
  const session: NewSession = {
    account_id,
    id: randomUUID(),
    user_id: subject.user_id,
    auth_time: subject.authenticated_at,
    amr: subject.amr,
    provider: subject.provider ?? null,
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
  tx: Transaction,
  session: Session,
  sid: string,
  client_id: string,
  now: number,
): Promise<void> {
  const { account_id, id: session_id, expires_at } = session;
  await insertAuthorization(tx.db, { account_id, session_id, sid, client_id, created_at: instant(now), expires_at });
}

/** Clients are told that a session ended for so long; milliseconds. */
const TOLD_FOR = 3_600_000;

/** Ends a session with everything it led to, at once; clients that asked for it are told (OpenID Connect Back-Channel Logout). */
export async function endSession(
  directory: Directory,
  { account_id, id, user_id }: Pick<Session, "account_id" | "id" | "user_id">,
): Promise<void> {
  const { storage, revocations } = directory;
  const milliseconds = storage.now();
  const now = instant(milliseconds);
  const led = await selectAuthorizations(storage.read, account_id, id);
  const revoked = led.map(({ sid }) => ({ account_id, subject: `sid:${sid}` }));
  const told = await listening(directory, account_id, led);
  await storage.write(async (tx) => {
    if (!(await updateEnded(tx.db, account_id, id, now))) return;
    for (const client_id of told) {
      const payload = { client_id, session_id: id, user_id };
      const message = { account_id, kind: BACKCHANNEL_LOGOUT, channel: "http" as const, inbox: null, payload };
      await enqueue(tx, { ...message, expires_at: milliseconds + TOLD_FOR }, milliseconds);
    }
    for (const one of revoked) await revocations.record(tx, one);
    const actor = { id: user_id, context: {} };
    await recordDeed(tx, { account_id, action: "session.ended", entity: id, now, actor });
  });
  for (const one of revoked) revocations.announce(one);
}

/** Of the clients that a session led to, those that want to hear of its end. */
async function listening(
  directory: Directory,
  account_id: string,
  led: readonly SessionAuthorization[],
): Promise<readonly string[]> {
  const ids = [...new Set(led.map(({ client_id }) => client_id))];
  const clients = await Promise.all(ids.map((id) => lookUpClient(directory, account_id, id)));
  return clients.flatMap((client) => (client?.settings.backchannel_logout_uri ? [client.id] : []));
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
