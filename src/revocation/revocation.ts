/**
 * Revocation: which authorizations are dead. Every access token names what it hangs on (its authorization, client, user
 * and grant); revoking one of those ends it, at once on this process and within 5 s on every other.
 *
 * In: subjects (`sid:`, `exchange:`, `client:`, `user:`, `grant:` or `role:` and an id), recorded in the transaction of the
 * deed that killed them; and `changed:` with the name of grants, which ends nothing by itself but says what to look at.
 * Out: whether a token still lives, answered from memory. A process that could not read revocations for 10 s does not know,
 * and says so instead of guessing.
 */
import { refuse } from "../errors.ts";
import { LONGEST_LIFETIME } from "../secrets/longest-token.ts";
import { expirySweep } from "../storage/delete-expired.ts";
import { slices } from "../storage/pages.ts";
import { type Instant, instant, type Storage, type Transaction } from "../storage/storage.ts";
import { DeadSubjects } from "./dead-subjects.ts";
import { EndedLogins, endedLogins, type Login } from "./ended-logins.ts";
import { insertRevocations, type RevocationRow, revokedSince } from "./store.ts";

interface Person {
  readonly account_id: string;
  readonly user_id: string;
}

export interface Revocations {
  /** Part of the transaction that deletes or revokes; this process knows once that is on disk. */
  record(tx: Transaction, account_id: string, subjects: readonly string[]): Promise<void>;
  /**
   * Ends every login of a person that began before `now`, in milliseconds, recorded anywhere or not, but the one whose
   * `sid` goes on (empty for none). Part of a transaction, as `record`.
   */
  endLogins(
    tx: Transaction,
    account_id: string,
    whose: { readonly user_id: string; readonly except: string },
    now: number,
  ): Promise<void>;
  /**
   * Marks a page of what a person's logins can be refreshed by, as far as the person's row says that they have ended.
   *
   * @returns whether those were all.
   */
  endOlder(tx: Transaction, whose: Person): Promise<boolean>;
  /**
   * @throws 401 invalid_token when one of them, or the login, is dead; 503 when this process has not read revocations for
   *   10 s.
   */
  checkAlive(account_id: string, subjects: readonly string[], login?: Login): void;
  /** Whether this was recorded, also where it ends nothing by itself. */
  knows(account_id: string, subject: string): boolean;
  /** True while revocations are read as they should be. */
  isFresh(): boolean;
  stop(): Promise<void>;
}

/**
 * An hour longer than any access token lives; milliseconds. A revocation is remembered for this long, and so is whatever
 * tells which tokens somebody has to end. When a person's logins ended is told by when that is forgotten, less this.
 */
export const TOKENS_LIVE = (LONGEST_LIFETIME + 3_600) * 1000;
const POLL = 1_000;
const STALE = 10_000;
/**
 * How far each reading goes back. A row says when it was written, and is seen when its transaction commits: few take
 * as long as this.
 */
const OVERLAP = 10_000;
/** What took longer than this to commit would never be read elsewhere, so it is far more than any transaction takes. */
const LATEST = 5 * 60_000;
/**
 * Milliseconds between two readings that go back so far, at most: one for each row that the last of them read, so that
 * where there are few, all are read every time.
 */
const LATE_PAUSE = 60_000;

export interface RevocationOptions {
  /** What else ends with an authorization, in the same transaction: its refresh tokens. */
  readonly authorizationsEnd?:
    | ((tx: Transaction, account_id: string, sids: readonly string[], now: Instant) => Promise<void>)
    | undefined;
  /** … and a page of those whose logins their person's row has ended. */
  readonly loginsEnd?: ((tx: Transaction, whose: Person, now: Instant) => Promise<boolean>) | undefined;
  readonly poll?: number;
  readonly monotonic?: () => number;
  /** Hears why it cannot be read, once until it was read again. */
  readonly report?: (error: unknown) => void;
}

/** Reads what is dead, then keeps reading. @throws when the first reading fails. */
export async function openRevocations(storage: Storage, options: RevocationOptions = {}): Promise<Revocations> {
  const { poll = POLL, monotonic = () => performance.now(), report = () => {}, authorizationsEnd, loginsEnd } = options;
  const dead = new DeadSubjects();
  const ended = new EndedLogins();
  let since = storage.now() - TOKENS_LIVE;
  let readAt = monotonic();
  let failing = false;
  let [lateAt, pause] = [Number.NEGATIVE_INFINITY, 0];

  function note({ account_id, subject, expires_at }: RevocationRow): void {
    const until = Date.parse(expires_at);
    const over = { before: until - TOKENS_LIVE, expires_at: until };
    if (!ended.note(account_id, subject, over)) dead.note(account_id, subject, until);
  }

  /** @returns how many there were. */
  async function readFrom(from: number): Promise<number> {
    let count = 0;
    for await (const rows of revokedSince(storage.read, instant(from))) {
      for (const row of rows) note(row);
      count += rows.length;
    }
    return count;
  }

  async function readNew(): Promise<void> {
    const started = monotonic();
    const now = storage.now();
    await readFrom(since);
    dead.forget(now);
    ended.forget(now);
    since = now - OVERLAP;
    readAt = started;
    failing = false;
  }

  function failed(error: unknown): void {
    if (!failing) report(error);
    failing = true;
  }

  async function readLate(): Promise<void> {
    const started = monotonic();
    if (started - lateAt < pause) return;
    [lateAt, pause] = [started, LATE_PAUSE];
    pause = Math.min(await readFrom(storage.now() - LATEST), LATE_PAUSE);
  }

  await readNew();
  // The first reading may have taken a while.
  await readNew();
  const readings = [readNew, readLate].map((read) => repeat(read, poll, failed));

  const isFresh = () => monotonic() - readAt < STALE;
  return {
    record: (tx, account_id, subjects) => write(tx, { account_id, subjects, authorizationsEnd }, storage.now(), note),
    endLogins: (tx, account_id, { user_id, except }, now) =>
      write(tx, { account_id, subjects: [endedLogins(user_id, except)] }, now, note),
    endOlder: async (tx, whose) => (await loginsEnd?.(tx, whose, instant(storage.now()))) ?? true,
    checkAlive(account_id, subjects, login) {
      if (!isFresh()) throw refuse("temporarily_unavailable", { detail: "revocations are stale", retry_after: 1 });
      if (login && ended.size > 0 && ended.has(account_id, login))
        throw refuse("invalid_token", { detail: `revoked: logins of ${login.subject}` });
      const gone = dead.find(account_id, subjects);
      if (gone) throw refuse("invalid_token", { detail: `revoked: ${gone}` });
    },
    knows: (account_id, subject) => dead.find(account_id, [subject]) !== undefined,
    isFresh,
    async stop() {
      await Promise.all(readings.map((stop) => stop()));
    },
  };
}

interface Ended extends Pick<RevocationOptions, "authorizationsEnd"> {
  readonly account_id: string;
  readonly subjects: readonly string[];
}

/** In order, as everybody locks rows who takes several. `note` hears of each once it is on disk. */
async function write(
  tx: Transaction,
  { account_id, subjects, authorizationsEnd }: Ended,
  now: number,
  note: (row: RevocationRow) => void,
): Promise<void> {
  const [revoked_at, expires_at] = [instant(now), instant(now + TOKENS_LIVE)];
  const ordered = [...new Set(subjects)].sort();
  for (const some of slices(ordered, SLICE)) await insertRevocations(tx.db, account_id, some, revoked_at, expires_at);
  const sids = ordered.filter((subject) => subject.startsWith("sid:")).map((subject) => subject.slice(4));
  for (const some of slices(sids, SLICE)) await authorizationsEnd?.(tx, account_id, some, revoked_at);
  tx.onDisk(() => {
    for (const subject of subjects) note({ account_id, subject, expires_at });
  });
}

/** Begins `read` anew every so many milliseconds, unless it is under way. @returns what ends that. */
function repeat(read: () => Promise<void>, every: number, failed: (error: unknown) => void): () => Promise<void> {
  let reading: Promise<void> | undefined;
  const timer = setInterval(() => {
    reading ??= read()
      .catch(failed)
      .finally(() => {
        reading = undefined;
      });
  }, every);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await reading;
  };
}

/** As many as one statement takes, however much each of them ends. */
const SLICE = 500;

export const revocationSweep = expirySweep("revocations", { table: "revocations", key: ["subject"] });
