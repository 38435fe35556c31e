/**
 * What sessions led to, ended page by page: a session may have led to thousands of logins, and a person may have thousands
 * of sessions, for which nobody else waits.
 *
 * In: sessions that their transaction ends. Out: their authorizations revoked, their clients told (OpenID Connect Back-Channel
 * Logout) and an event for each session, the first page in that transaction, and each further one in its own. How far it
 * is lies in `session_endings`, from where the janitor goes on when a process ended half-way. Of a person's sessions and
 * refresh tokens that end together the older ones are marked like that too, while `person_endings` names the person:
 * their row ends them at once, but a build from before does not ask it. What is marked is not looked at again.
 */
import { recordDeed } from "../../audit/audit.ts";
import type { Directory } from "../../directory/directory.ts";
import { hostOf } from "../../egress/documents.ts";
import { enqueue } from "../../outbox/outbox.ts";
import type { Sweep } from "../../storage/janitor.ts";
import { nextTurn } from "../../storage/pages.ts";
import { instant, type Storage, type Transaction } from "../../storage/storage.ts";
import {
  deleteEndings,
  deletePersonEnding,
  type Ending,
  insertEndings,
  isLeft,
  type Person,
  selectEndings,
  selectLed,
  selectListening,
  selectPersonEnding,
  upsertPersonEnding,
  type Whose,
} from "./endings-store.ts";
import { selectWhichEnd, updateEnded } from "./store.ts";

export type { Ending } from "./endings-store.ts";

export const newEnding = (account_id: string, session_id: string, user_id: string): Ending => ({
  account_id,
  session_id,
  user_id,
  client_id: "",
  sid: "",
});

/** The outbox kind that tells clients. */
const BACKCHANNEL_LOGOUT = "backchannel_logout";
/** Clients are told that a session ended for so long; milliseconds. */
const TOLD_FOR = 3_600_000;
/** Sessions, and what they led to, that one transaction ends. */
const PAGE = 100;

interface Page {
  /** What is to be revoked now, as revocations name it. */
  readonly led: readonly string[];
  /** What is left of them, and from where. */
  readonly left: readonly Ending[];
}

/**
 * The first page of sessions that end now, of one account: part of the transaction that ends them. `milliseconds`: when.
 *
 * @returns what that transaction revokes, and whether something is left for `finishEndings`.
 */
export async function beginEndings(
  tx: Transaction,
  endings: readonly Ending[],
  milliseconds: number,
): Promise<{ readonly led: readonly string[]; readonly left: boolean }> {
  const { led, left } = await takePage(tx, endings, milliseconds);
  await insertEndings(tx.db, left);
  return { led, left: left.length > 0 };
}

/** Leaves those sessions and refresh tokens of a person for `finishEndings` that do not stand by their row. */
export const leaveOlder = (tx: Transaction, { account_id, user_id }: Person): Promise<void> =>
  upsertPersonEnding(tx.db, { account_id, user_id });

/** Milliseconds between two looks at what somebody else is ending. */
const LOOK = 20;
/** Milliseconds for which anybody waits for that: a process that stands still may hold it for long. */
const PATIENCE = 5_000;

interface Walk {
  /** Never rejects. */
  readonly over: Promise<void>;
  /** Of whoever came while it was under way: it may have been at its last look. */
  next?: Promise<void>;
}

/** Those under way in this process, by whose: more at once would only stand in each other's way. */
const walks = new WeakMap<Storage, Map<string, Walk>>();

/**
 * Ends what is left of an account's or person's sessions that have ended, and waits a while for what others are ending; the
 * janitor goes on with what is left then. What is left when it is called is done when it returns, by whichever walk.
 */
export function finishEndings(directory: Directory, whose: Whose): Promise<void> {
  const under_way = walks.get(directory.storage) ?? new Map<string, Walk>();
  walks.set(directory.storage, under_way);
  const key = `${whose.account_id} ${whose.user_id ?? ""}`;
  const before = under_way.get(key);
  if (before) {
    before.next ??= before.over.then(() => finishEndings(directory, whose));
    return before.next;
  }
  const walk = walkThrough(directory, whose).finally(() => under_way.delete(key));
  under_way.set(key, { over: walk.catch(() => {}) });
  return walk;
}

async function walkThrough(directory: Directory, whose: Whose): Promise<void> {
  let until = performance.now() + PATIENCE;
  while (performance.now() < until) {
    while ((await nextPage(directory, whose)) > 0) {
      await nextTurn();
      until = performance.now() + PATIENCE;
    }
    if (!(await isLeft(directory.storage.read, whose))) return;
    await new Promise((turn) => setTimeout(turn, LOOK));
  }
}

/** For the janitor: what others left. */
export const endingSweep = (directory: Directory): Sweep => ({
  name: "endings of sessions",
  // A page is less than a batch, and there may be another.
  sweep: async (_storage, batch) => ((await nextPage(directory)) > 0 ? batch : 0),
});

/** @returns how many sessions it found; 0 where nothing was left. */
function nextPage({ storage, revocations }: Directory, whose?: Whose): Promise<number> {
  return storage.write(async (tx) => {
    const found = await selectEndings(tx.db, whose, PAGE);
    const [first] = found;
    if (!first) return endOlder(tx, { storage, revocations }, whose);
    // Of one account, so that everything that is revoked together is locked in order.
    const endings = found.filter(({ account_id }) => account_id === first.account_id);
    const { led, left } = await takePage(tx, endings, storage.now());
    await revocations.record(tx, first.account_id, led);
    await deleteEndings(tx.db, endings);
    await insertEndings(tx.db, left);
    return found.length;
  });
}

/** The next page of a person's older sessions, and of their older refresh tokens. @returns 0 where nobody was left. */
async function endOlder(
  tx: Transaction,
  { storage, revocations }: Pick<Directory, "storage" | "revocations">,
  whose?: Whose,
): Promise<number> {
  const person = await selectPersonEnding(tx.db, whose);
  if (!person) return 0;
  const sessions = await endOlderSessions(tx, storage, person);
  const families = await revocations.endOlder(tx, person);
  if (sessions && families) await deletePersonEnding(tx.db, person);
  return 1;
}

/** What they led to is ended after it. @returns whether those were all. */
async function endOlderSessions(tx: Transaction, storage: Storage, person: Person): Promise<boolean> {
  const { account_id, user_id } = person;
  const ids = await selectWhichEnd(tx.db, person, PAGE);
  const ended = ids.length > 0 ? await updateEnded(tx.db, account_id, ids, instant(storage.now())) : [];
  await insertEndings(
    tx.db,
    ended.map((id) => newEnding(account_id, id, user_id)),
  );
  return ids.length < PAGE;
}

async function takePage(tx: Transaction, endings: readonly Ending[], milliseconds: number): Promise<Page> {
  const led: string[] = [];
  let room = PAGE;
  for (const [index, ending] of endings.entries()) {
    if (room <= 0) return { led, left: endings.slice(index) };
    const { account_id, session_id, user_id, client_id } = ending;
    if (client_id === "") await noteEnded(tx, ending, milliseconds);
    // Whoever was using it has finished, and is among these, or sees that it has ended.
    const some = await selectLed(tx.db, ending, room);
    for (const row of some) led.push(`sid:${row.sid}`);
    const clients = new Set(some.map((row) => row.client_id).filter((id) => id !== client_id));
    for (const { id, uri } of await selectListening(tx.db, account_id, [...clients])) {
      const payload = { client_id: id, session_id, user_id };
      const message = { account_id, kind: BACKCHANNEL_LOGOUT, channel: "http" as const, inbox: null, payload };
      const expires_at = milliseconds + TOLD_FOR;
      await enqueue(tx, { ...message, destination: hostOf(uri), expires_at }, milliseconds);
    }
    const last = some.at(-1);
    if (last && some.length === room) return { led, left: [{ ...ending, ...last }, ...endings.slice(index + 1)] };
    room -= some.length + 1;
  }
  return { led, left: [] };
}

function noteEnded(tx: Transaction, { account_id, session_id, user_id }: Ending, milliseconds: number): Promise<void> {
  const actor = { id: user_id, context: {} };
  const now = instant(milliseconds);
  return recordDeed(tx, { account_id, action: "session.ended", entity: session_id, now, actor });
}
