/** The process that hashes (`slow-hash-process.cjs`): it begins with the first hash, and again with the next one after it ended. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { refuse } from "../errors.ts";
import { reveal, type Secret } from "./secret.ts";

const PROCESS = fileURLToPath(new URL("./slow-hash-process.cjs", import.meta.url));

export interface Answer {
  readonly id: number;
  readonly hash?: string;
  readonly same?: boolean;
  readonly error?: string;
}

/** A process, and who waits for what it was asked. */
interface Hasher {
  readonly child: ChildProcess;
  readonly waiting: Map<number, { resolve(answer: Answer): void; reject(error: unknown): void }>;
}

let hasher: Hasher | undefined;
let ids = 0;

export const unavailable = (detail: string) => refuse("temporarily_unavailable", { detail, retry_after: 1 });

/**
 * A text's hash or, with a hash to hold it against, whether they are the same.
 *
 * @throws 503 temporarily_unavailable when the process could not begin, or ended meanwhile.
 */
export async function askHasher(text: Secret, against: string | undefined): Promise<Answer> {
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
