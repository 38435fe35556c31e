/**
 * Slow hashes, for what people choose: passwords, PINs, short client secrets. argon2id in a process of its own, at a lower
 * priority and in bounded number, so that a flood of logins slows nothing but itself. The process begins with the first hash.
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

let child: ChildProcess | undefined;
let ids = 0;
let running = 0;
const queue = new Set<() => void>();
const waiting = new Map<number, (answer: Answer) => void>();

/** argon2id in the PHC string format. @throws 503 temporarily_unavailable when too many wait, or it waited too long. */
export async function slowHash(text: Secret): Promise<string> {
  const { hash } = await inTurn(text, undefined);
  if (hash === undefined) throw new Error("nothing was hashed");
  return hash;
}

/**
 * No text is that of a hash with a fault, and to find that out takes as long as with a hash of our own.
 *
 * @throws 503 temporarily_unavailable when too many wait, or it waited too long.
 */
export async function slowVerify(against: string, text: Secret): Promise<boolean> {
  if (!(await hashFault(against))) return (await inTurn(text, against)).same === true;
  await slowHash(text);
  return false;
}

async function inTurn(text: Secret, against: string | undefined): Promise<Answer> {
  if (running >= AT_ONCE) await turn();
  else running += 1;
  const answer = await inTime(ask(text, against).finally(passOn));
  if (answer.error !== undefined) throw new Error(`a hash failed: ${answer.error}`);
  return answer;
}

/** The place of a hash is free when the process has done with it, whether or not anybody still waits for it. */
function passOn(): void {
  const [next] = queue;
  if (next) next();
  else running -= 1;
}

/** @throws 503 temporarily_unavailable. */
function inTime(answer: Promise<Answer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const tooLate = setTimeout(() => reject(busy()), PATIENCE);
    answer.finally(() => clearTimeout(tooLate)).then(resolve, reject);
  });
}

/** Resolves with the place of one that has ended. */
function turn(): Promise<void> {
  if (queue.size >= WAITING) throw busy();
  return new Promise((resolve, reject) => {
    const begin = () => {
      clearTimeout(tooLate);
      queue.delete(begin);
      resolve();
    };
    const tooLate = setTimeout(() => {
      queue.delete(begin);
      reject(busy());
    }, PATIENCE);
    queue.add(begin);
  });
}

const busy = () => refuse("temporarily_unavailable", { detail: "too many logins", retry_after: 1 });

async function ask(text: Secret, against: string | undefined): Promise<Answer> {
  child ??= start();
  const id = ++ids;
  const answer = new Promise<Answer>((resolve) => waiting.set(id, resolve));
  child.ref();
  child.channel?.ref();
  child.send({ id, text: reveal(text), ...(against === undefined ? {} : { against }) });
  return answer;
}

/** Does not keep the server alive; what it did not answer when it ends failed, and the next hash begins another. */
function start(): ChildProcess {
  const started = fork(PROCESS, { stdio: ["ignore", "ignore", "inherit", "ipc"], execArgv: [] });
  const ended = () => {
    if (child === started) child = undefined;
    for (const [id, resolve] of waiting) resolve({ id, error: "the hashing process ended" });
    waiting.clear();
  };
  started.on("message", (answer: Answer) => {
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
    if (waiting.size === 0) release(started);
  });
  started.on("error", ended);
  started.on("exit", ended);
  started.unref();
  return started;
}

/** An idle process is no reason for the server to stay; a hash under way is. */
function release(idle: ChildProcess): void {
  idle.unref();
  idle.channel?.unref();
}
