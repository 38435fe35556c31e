import { nextTurn, slices } from "../pages.ts";
import type { EngineTransaction, HotStatement } from "../storage.ts";
import { BATCH_LEAST, openTurns, type Turns } from "../turns.ts";
import { begin, leaveWaiting } from "./begin.ts";
import type { SqliteFile } from "./connection.ts";
import { kyselyOn } from "./dialect.ts";
import type { Call, WriterThread } from "./thread.ts";

export interface GroupCommit {
  write<T>(work: (tx: EngineTransaction) => Promise<T>): Promise<T>;
  hot<I, O>(statement: HotStatement<I, O>, input: I): Promise<O>;
  /** Resolves when everything handed in so far is committed. */
  idle(): Promise<void>;
}

interface Member {
  /** A hot statement: it answers at once, and may be run again after a rollback. */
  readonly hot: boolean;
  /** What the thread needs to carry it out; undefined for what has to run here. */
  readonly call?: Call | undefined;
  /** Until when it waits for another process that holds the file, by `performance.now`. */
  readonly until: number;
  run(): unknown;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

type Answer = () => void;

/** A group is closed after so many members, so that the first of them is not kept waiting by a steady stream. */
const GROUP_LIMIT = 512;
/** What a turn of the event loop brought goes to the thread in so many batches; see `turns.ts`. */
const BATCHES = 4;

export interface GroupCommitOptions {
  readonly file: SqliteFile;
  /** Resolves when everything that was committed on `file` is on disk. */
  readonly flush: () => Promise<void>;
  readonly strict: boolean;
  /** Milliseconds for which each member waits for another process that holds the file. */
  readonly patience: number;
  /** Carries out hot statements on a connection of its own. */
  readonly thread?: WriterThread | undefined;
}

/**
 * Group commit: members run one after another inside one open `BEGIN IMMEDIATE`: a `write` in a savepoint of its own, a
 * row of hot statements in a common one, which is repeated one by one when any of them fails. The group's one COMMIT
 * comes when a turn of the event loop brought no further member, and all of them are answered once `flush` says that it
 * is on disk. The next group runs while that flush is under way, and one flush is shared by all groups that were
 * committed meanwhile.
 *
 * A member's error rolls back that member alone. An error that ends the transaction (a full disk, a failed COMMIT or flush)
 * rejects every member, since none of them is known to be on disk.
 *
 * With a thread, a row of hot statements is handed to it in batches, each a transaction. A `write` waits until
 * the thread is idle, so that one of the two holds the file. A batch in which anything failed left nothing behind and runs
 * here again, one by one, where each failure is its caller's.
 *
 * While another process holds the file everybody waits by timers, each for their own time, and those who read are
 * answered.
 *
 * `strict` rejects a `write` that outlives a turn of the event loop: it awaited something other than its own `tx`.
 */
export function openGroupCommit({ file, flush, strict, patience, thread }: GroupCommitOptions): GroupCommit {
  leaveWaiting(file);
  const queue: Member[] = [];
  const unanswered = new Set<Promise<void>>();
  const turns = openTurns();
  let draining: Promise<void> | undefined;
  let gathered = nobodyWaits;

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      if (thread && queue[0]?.call) await handOver(thread);
      else await commitHere();
    }
    draining = undefined;
  }

  function work(): void {
    draining ??= Promise.resolve().then(drain);
  }

  async function commitHere(): Promise<void> {
    try {
      await thread?.idle();
      await begin(file, refuseLate);
    } catch (failure) {
      return keep(settle({ members: queue.splice(0), answers: [], failure }, flush));
    }
    keep(settle(await commitGroup(file, queue), flush));
  }

  /** Those who came first are first in the queue. @returns true when nobody waits any more. */
  function refuseLate(held: unknown): boolean {
    while (queue[0] && queue[0].until <= performance.now()) queue.shift()?.reject(held);
    return queue.length === 0;
  }

  async function handOver(to: WriterThread): Promise<void> {
    await nextTurn();
    if (queue.length < BATCH_LEAST && unanswered.size > 0) await company();
    const end = queue.findIndex(({ call }) => call === undefined);
    const members = queue.splice(0, Math.min(GROUP_LIMIT, end < 0 ? queue.length : end));
    const size = Math.max(BATCH_LEAST, Math.ceil(members.length / BATCHES));
    for (const some of slices(members, size)) {
      await to.room();
      turns.left();
      keep(carryOut(to, some, turns).then(repeatHere));
    }
  }

  /** Resolves when a batch is complete, with the next answers, and when somebody waits who does not go to the thread. */
  function company(): Promise<void> {
    return new Promise((resolve) => {
      gathered = () => {
        gathered = nobodyWaits;
        resolve();
      };
      turns.before(gathered);
    });
  }

  function repeatHere(members: readonly Member[]): void {
    if (members.length === 0) return;
    queue.unshift(...members);
    work();
  }

  function keep(answered: Promise<void>): void {
    const kept = answered.finally(() => {
      unanswered.delete(kept);
      if (unanswered.size === 0) gathered();
    });
    unanswered.add(kept);
  }

  function enqueue<T>({ hot, call, run }: Pick<Member, "hot" | "call" | "run">): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const until = performance.now() + patience;
      queue.push({ hot, call, until, run, resolve: resolve as (value: unknown) => void, reject });
      turns.came();
      if (queue.length >= BATCH_LEAST || !call) gathered();
      work();
    });
  }

  return {
    write: (work) => enqueue({ hot: false, run: () => runTurn(file, work, strict) }),
    hot: (statement, input) =>
      enqueue({ hot: true, call: thread && callOf(statement, input), run: () => statement.sqlite(file, input) }),
    async idle() {
      while (draining !== undefined || unanswered.size > 0) await Promise.all([draining, ...unanswered]);
    },
  };
}

const nobodyWaits = () => {};

function callOf<I, O>({ name, source }: HotStatement<I, O>, input: I): Call | undefined {
  return source === undefined ? undefined : { name, source, input };
}

/** @returns those that have to run here, since one of them failed. */
async function carryOut(thread: WriterThread, members: readonly Member[], turns: Turns): Promise<readonly Member[]> {
  try {
    const calls = members.map(({ call }) => call as Call);
    const patience = (members.at(-1)?.until ?? 0) - performance.now();
    const answers = await turns.take(thread.carryOut(calls, patience));
    if (!answers) return members.map((member) => ({ ...member, call: undefined }));
    members.forEach((member, index) => {
      member.resolve(answers[index]);
    });
  } catch (error) {
    for (const member of members) member.reject(error);
  }
  return [];
}

interface Group {
  readonly members: readonly Member[];
  /** One a member, when the group was committed. */
  readonly answers: readonly Answer[];
  readonly failure?: unknown;
}

async function settle({ members, answers, failure }: Group, flush: () => Promise<void>): Promise<void> {
  try {
    if (failure !== undefined) throw failure;
    await flush();
  } catch (error) {
    for (const member of members) member.reject(error);
    return;
  }
  for (const answer of answers) answer();
}

/** In the transaction that has begun. */
async function commitGroup(file: SqliteFile, queue: Member[]): Promise<Group> {
  const members: Member[] = [];
  const answers: Answer[] = [];
  try {
    do {
      while (queue.length > 0 && members.length < GROUP_LIMIT) {
        const next = takeNext(queue, GROUP_LIMIT - members.length);
        members.push(...next);
        answers.push(...(await runNext(file, next)));
      }
      if (members.length < GROUP_LIMIT) await nextTurn();
    } while (queue.length > 0 && members.length < GROUP_LIMIT);
    file.run("commit");
    return { members, answers };
  } catch (failure) {
    abandon(file);
    return { members, answers: [], failure };
  }
}

/** All hot statements that wait in a row, or one `write`. */
function takeNext(queue: Member[], limit: number): Member[] {
  const end = queue.findIndex(({ hot }) => !hot);
  return queue.splice(0, Math.min(limit, end < 0 ? queue.length : Math.max(1, end)));
}

async function runNext(file: SqliteFile, members: readonly Member[]): Promise<readonly Answer[]> {
  const together = members.length > 1 ? runTogether(file, members) : undefined;
  if (together) return together;
  const answers = [];
  for (const member of members) answers.push(await runMember(file, member));
  return answers;
}

/** @returns undefined, and leaves nothing behind, when one of them failed. */
function runTogether(file: SqliteFile, members: readonly Member[]): readonly Answer[] | undefined {
  file.run("savepoint member");
  try {
    const values = members.map((member) => member.run());
    file.run("release member");
    return values.map((value, index) => () => members[index]?.resolve(value));
  } catch (error) {
    undoMember(file, error);
    return undefined;
  }
}

/** @throws `error` where that ended the transaction, and the savepoint with it: then the whole group is lost. */
function undoMember(file: SqliteFile, error: unknown): void {
  try {
    file.run("rollback to member");
    file.run("release member");
  } catch {
    throw error;
  }
}

/** Runs one member in its savepoint. */
async function runMember(file: SqliteFile, member: Member): Promise<Answer> {
  file.run("savepoint member");
  try {
    let value = member.run();
    if (value instanceof Promise) value = await value;
    file.run("release member");
    return () => member.resolve(value);
  } catch (error) {
    undoMember(file, error);
    return () => member.reject(error);
  }
}

function runTurn<T>(file: SqliteFile, work: (tx: EngineTransaction) => Promise<T>, strict: boolean): Promise<T> {
  let over = false;
  const checkUsable = () => {
    if (over) throw new Error("this transaction is over");
  };
  const tx: EngineTransaction = {
    db: kyselyOn(file, checkUsable),
    async hot(statement, inputs) {
      checkUsable();
      return inputs.map((input) => statement.sqlite(file, input));
    },
  };
  const turn = work(tx).finally(() => {
    over = true;
  });
  if (!strict) return turn;
  let late: NodeJS.Immediate | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    late = setImmediate(() => {
      over = true;
      reject(new Error("a write function awaited something other than its own transaction"));
    });
  });
  turn.catch(() => {});
  return Promise.race([turn, tooLate]).finally(() => clearImmediate(late));
}

function abandon(file: SqliteFile): void {
  try {
    file.run("rollback");
  } catch {
    // The error that brought us here had already ended the transaction.
  }
}
