/**
 * Slow hashes, for what people choose: passwords, PINs, short client secrets. argon2id in a process of its own, at a lower
 * priority and in bounded number, so that a flood of logins slows nothing but itself; accounts take turns, so that one
 * account's flood keeps no other from its logins. The process begins with the first hash.
 */
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { refuse } from "../errors.ts";
import { hashFault } from "./hash-fault.ts";
import { reveal, type Secret } from "./secret.ts";

const PROCESS = fileURLToPath(new URL("./slow-hash-process.cjs", import.meta.url));
/** Hashes at once. */
const AT_ONCE = Math.min(4, Math.max(1, availableParallelism() - 1));
/** Hashes that may wait for their turn. */
const WAITING = 200;
/** Hashes that are not turned away. */
export const ROOM = AT_ONCE + WAITING;
/** Milliseconds for which anybody waits for a turn, and then for an answer. */
const PATIENCE = 5_000;

interface Answer {
  readonly id: number;
  readonly hash?: string;
  readonly same?: boolean;
  readonly error?: string;
}

/** A process that hashes, and who waits for what it was asked. */
interface Hasher {
  readonly child: ChildProcess;
  readonly waiting: Map<number, { resolve(answer: Answer): void; reject(error: unknown): void }>;
}

let hasher: Hasher | undefined;
let ids = 0;
let running = 0;
/** Who waits for a turn. */
interface Waiter {
  begin(): void;
  turnAway(): void;
}

/** By account, first whose turn is next; of an account, first who came first. */
const queues = new Map<string, Set<Waiter>>();
let queued = 0;

/** argon2id in the PHC string format. @throws 503 temporarily_unavailable when too many wait, it waited too long, or the process ended. */
export async function slowHash(account_id: string, text: Secret): Promise<string> {
  const { hash } = await inTurn(account_id, text, undefined);
  if (hash === undefined) throw new Error("nothing was hashed");
  return hash;
}

/**
 * No text is that of a hash with a fault, and to find that out takes as long as with a hash of our own.
 *
 * @throws 503 temporarily_unavailable when too many wait, it waited too long, or the process ended.
 */
export async function slowVerify(account_id: string, against: string, text: Secret): Promise<boolean> {
  if (!(await hashFault(against))) return (await inTurn(account_id, text, against)).same === true;
  await slowHash(account_id, text);
  return false;
}

async function inTurn(account_id: string, text: Secret, against: string | undefined): Promise<Answer> {
  if (running >= AT_ONCE) await turn(account_id);
  else running += 1;
  const answer = await inTime(ask(text, against).finally(passOn));
  if (answer.error !== undefined) throw new Error(`a hash failed: ${answer.error}`);
  return answer;
}

/** The place of a hash is free when the process has done with it, whether or not anybody still waits for it. */
function passOn(): void {
  const [next] = queues;
  if (!next) {
    running -= 1;
    return;
  }
  const [account_id, waiters] = next;
  // Its next turn comes after everybody else's.
  queues.delete(account_id);
  queues.set(account_id, waiters);
  const [first] = waiters;
  first?.begin();
}

/** @throws 503 temporarily_unavailable. */
function inTime(answer: Promise<Answer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const tooLate = setTimeout(() => reject(busy()), PATIENCE);
    answer.finally(() => clearTimeout(tooLate)).then(resolve, reject);
  });
}

/** Resolves with the place of one that has ended. */
function turn(account_id: string): Promise<void> {
  if (queued >= WAITING && !hasRoomFor(account_id)) throw busy();
  return new Promise((resolve, reject) => {
    const waiters = queues.get(account_id) ?? new Set();
    const leave = () => {
      clearTimeout(tooLate);
      waiters.delete(waiter);
      if (waiters.size === 0) queues.delete(account_id);
      queued -= 1;
    };
    const waiter = {
      begin() {
        leave();
        resolve();
      },
      turnAway() {
        leave();
        reject(busy());
      },
    };
    const tooLate = setTimeout(waiter.turnAway, PATIENCE);
    queues.set(account_id, waiters.add(waiter));
    queued += 1;
  });
}

/** Whoever came last of the account with the most who wait gives way to one of an account with fewer. */
function hasRoomFor(account_id: string): boolean {
  const [most] = [...queues.values()].toSorted((one, other) => other.size - one.size);
  const own = queues.get(account_id)?.size ?? 0;
  if (!most || most.size <= own + 1) return false;
  [...most].at(-1)?.turnAway();
  return true;
}

const unavailable = (detail: string) => refuse("temporarily_unavailable", { detail, retry_after: 1 });
const busy = () => unavailable("too many logins");

async function ask(text: Secret, against: string | undefined): Promise<Answer> {
  hasher ??= start();
  const { child, waiting } = hasher;
  const id = ++ids;
  const answer = new Promise<Answer>((resolve, reject) => waiting.set(id, { resolve, reject }));
  child.ref();
  child.channel?.ref();
  try {
    child.send({ id, text: reveal(text), ...(against === undefined ? {} : { against }) });
  } catch {
    // Where no descriptor was left to begin the process with, it has no channel.
    waiting.delete(id);
    throw unavailable("the hashing process could not begin");
  }
  return answer;
}

/** Does not keep the server alive; whoever waits for it when it ends is told so, and the next hash begins another. */
function start(): Hasher {
  const child = fork(PROCESS, { stdio: ["ignore", "ignore", "inherit", "ipc"], execArgv: [] });
  const started: Hasher = { child, waiting: new Map() };
  const { waiting } = started;
  const ended = () => {
    if (hasher === started) hasher = undefined;
    for (const { reject } of waiting.values()) reject(unavailable("the hashing process ended"));
    waiting.clear();
  };
  child.on("message", (answer: Answer) => {
    waiting.get(answer.id)?.resolve(answer);
    waiting.delete(answer.id);
    if (waiting.size === 0) release(child);
  });
  child.on("error", ended);
  child.on("exit", ended);
  child.unref();
  return started;
}

/** An idle process is no reason for the server to stay; a hash under way is. */
function release(idle: ChildProcess): void {
  idle.unref();
  idle.channel?.unref();
}
