/**
 * A person's other browsers, seen and ended from one in which they are logged in (ASVS 5.0 §7.5.2). Several people may be
 * logged in in one browser: of each it is their own sessions, and nobody else's there.
 *
 * In: the session at hand. Its word counts for all of its person's, unless it is another server's: that counts at the clients
 * that ask that server, and so for sessions by the same server's word. Out: where else they are logged in; those logins
 * ended as by a logout there.
 */
import type { Directory } from "../../directory/directory.ts";
import { instant } from "../../storage/storage.ts";
import { endSessions } from "./end-session.ts";
import type { Session } from "./session.ts";
import { selectElsewhere, selectUnendedElsewhere } from "./store.ts";

/** More than that many are told by their number alone: there are others. */
const SHOWN = 20;
/** As many as one statement takes. */
const SLICE = 500;

export interface Elsewhere {
  /** Live ones, the newest login first. */
  readonly sessions: readonly Session[];
  /** There are others: beyond these, or that lie idle while what they led to lives on. */
  readonly more: "live" | "idle" | undefined;
}

/** Where else the person of a session is logged in. */
export async function findElsewhere({ storage }: Directory, session: Session): Promise<Elsewhere> {
  const { read } = storage;
  const found = await selectElsewhere(read, session, instant(storage.now()), SHOWN + 1);
  if (found.length > SHOWN) return { sessions: found.slice(0, SHOWN), more: "live" };
  if (found.length > 0) return { sessions: found, more: undefined };
  const [idle] = await selectUnendedElsewhere(read, session, undefined, 1);
  return { sessions: [], more: idle === undefined ? undefined : "idle" };
}

/**
 * Ends one of a person's sessions: that at hand, or one elsewhere. Nothing where it is not theirs, or has ended by now.
 */
export async function endOne(directory: Directory, session: Session, id: string): Promise<void> {
  const [other] = id === session.id ? [id] : await selectUnendedElsewhere(directory.storage.read, session, id, 1);
  if (other !== undefined) await endSessions(directory, session, [other]);
}

/** Ends all of them but that at hand, those too that lie idle. */
export async function endElsewhere(directory: Directory, session: Session): Promise<void> {
  for (;;) {
    const ids = await selectUnendedElsewhere(directory.storage.read, session, undefined, SLICE);
    if (ids.length > 0) await endSessions(directory, session, ids);
    if (ids.length < SLICE) return;
  }
}
