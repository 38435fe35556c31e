/**
 * Slow hashes, for what people choose: passwords, PINs, short client secrets. argon2id in a process of its own, at a lower
 * priority and in bounded number, so that a flood of logins slows nothing but itself; accounts take turns, so that one
 * account's flood keeps no other from its logins.
 */
import { availableParallelism } from "node:os";
import { hashFault } from "./hash-fault.ts";
import { type Answer, askHasher, unavailable } from "./hasher.ts";
import type { Secret } from "./secret.ts";

/** Hashes at once. */
const AT_ONCE = Math.min(4, Math.max(1, availableParallelism() - 1));
/** Hashes that may wait for their turn. */
const WAITING = 200;
/** Hashes that are not turned away. */
export const ROOM = AT_ONCE + WAITING;
/** Milliseconds for which anybody waits for a turn, and then for an answer. */
const PATIENCE = 5_000;

/** Who waits for a turn. */
interface Waiter {
  begin(): void;
  turnAway(): void;
}

/** By account, first whose turn is next; of an account, first who came first. */
const queues = new Map<string, Set<Waiter>>();
let queued = 0;
/** Hashes under way. */
let running = 0;

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
  const answer = await inTime(askHasher(text, against).finally(passOn));
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

const busy = () => unavailable("too many logins");
