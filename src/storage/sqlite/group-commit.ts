import type { HotStatement, Transaction } from "../storage.ts";
import type { SqliteFile } from "./connection.ts";
import { kyselyOn } from "./dialect.ts";

export interface GroupCommit {
  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  hot<I, O>(statement: HotStatement<I, O>, input: I): Promise<O>;
  /** Resolves when everything handed in so far is committed. */
  idle(): Promise<void>;
}

interface Member {
  run(): unknown;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

type Answer = () => void;

/** A group is closed after so many members, so that the first of them is not kept waiting by a steady stream. */
const GROUP_LIMIT = 512;

/**
 * Group commit: members run one after another, each in a savepoint of one open `BEGIN IMMEDIATE`. Its one COMMIT comes when a
 * turn of the event loop brought no further member, and all of them are answered once `flush` says that it is on disk. The
 * next group runs while that flush is under way, and one flush is shared by all groups that were committed meanwhile.
 *
 * A member's error rolls back that member alone. An error that ends the transaction (a full disk, a failed COMMIT or flush)
 * rejects every member, since none of them is known to be on disk.
 *
 * `strict` rejects a `write` that outlives a turn of the event loop: it awaited something other than its own `tx`.
 */
export function openGroupCommit(file: SqliteFile, flush: () => Promise<void>, strict: boolean): GroupCommit {
  const queue: Member[] = [];
  const flushing = new Set<Promise<void>>();
  let draining: Promise<void> | undefined;

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      const group = await commitGroup(file, queue);
      const answered = settle(group, flush).finally(() => flushing.delete(answered));
      flushing.add(answered);
    }
    draining = undefined;
  }

  function enqueue<T>(run: () => unknown): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      queue.push({ run, resolve: resolve as (value: unknown) => void, reject });
      if (!draining) draining = Promise.resolve().then(drain);
    });
  }

  return {
    write: (work) => enqueue(() => runTurn(file, work, strict)),
    hot: (statement, input) => enqueue(() => statement.sqlite(file, input)),
    async idle() {
      while (draining !== undefined || flushing.size > 0) await Promise.all([draining, ...flushing]);
    },
  };
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

async function commitGroup(file: SqliteFile, queue: Member[]): Promise<Group> {
  const members: Member[] = [];
  const answers: Answer[] = [];
  try {
    file.run("begin immediate");
    do {
      for (let member = queue.shift(); member; member = queue.shift()) {
        members.push(member);
        answers.push(await runMember(file, member));
        if (members.length >= GROUP_LIMIT) break;
      }
      if (members.length < GROUP_LIMIT) await nextTurn();
    } while (queue.length > 0 && members.length < GROUP_LIMIT);
    file.run("commit");
    return { members, answers };
  } catch (failure) {
    abandon(file);
    if (members.length === 0) members.push(...queue.splice(0));
    return { members, answers: [], failure };
  }
}

/** Runs one member in its savepoint. Throws only when the savepoint could not be undone: then the whole group is lost. */
async function runMember(file: SqliteFile, member: Member): Promise<Answer> {
  file.run("savepoint member");
  try {
    let value = member.run();
    if (value instanceof Promise) value = await value;
    file.run("release member");
    return () => member.resolve(value);
  } catch (error) {
    file.run("rollback to member");
    file.run("release member");
    return () => member.reject(error);
  }
}

function runTurn<T>(file: SqliteFile, work: (tx: Transaction) => Promise<T>, strict: boolean): Promise<T> {
  let over = false;
  const checkUsable = () => {
    if (over) throw new Error("this transaction is over");
  };
  const tx: Transaction = {
    db: kyselyOn(file, checkUsable),
    async hot(statement, input) {
      checkUsable();
      return statement.sqlite(file, input);
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

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
