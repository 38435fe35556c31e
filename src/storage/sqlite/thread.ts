/**
 * This side of the writer thread. Whoever holds the file's one transaction is decided here: batches that were handed
 * over and not yet answered are the thread's turn; `idle` ends it.
 */
import { Worker } from "node:worker_threads";
import { refuse } from "../../errors.ts";
import { hotSources } from "../hot-sources.ts";
import { builtFrom } from "./built-from.ts";
import { BrokenDisk } from "./errors.ts";

/** A hot statement, and what it is asked. */
export interface Call {
  readonly name: string;
  /** The module that exports the statement. */
  readonly source: string;
  readonly input: unknown;
}

/** Travels as JSON, which costs a third of the structured clone of many small objects. */
export interface Batch {
  readonly id: number;
  /** The statement's place among those that were announced so far, and the input. */
  readonly calls: readonly (readonly [number, unknown])[];
  /** Milliseconds for which it waits for another process that holds the file. */
  readonly patience: number;
  /** Statements that the thread has not heard of, and the built modules that export them. */
  readonly announced?: readonly Omit<Call, "input">[];
}

/**
 * `durable`: on disk. `undone`: one of them failed, and nothing of any remains. `held`: nothing was done, since another
 * process held the file for too long. `unknown`: committed, but the disk refused the
 * flush, so nobody knows.
 */
export type Outcome = { readonly id: number; readonly texts?: readonly string[] } & (
  | { readonly fate: "durable"; readonly answers: readonly unknown[] }
  | { readonly fate: "undone" }
  | { readonly fate: "held" }
  | { readonly fate: "unknown"; readonly message: string }
);

export interface ThreadOptions {
  readonly path: string;
  /** Tells the texts that it executed. */
  readonly watched: boolean;
}

/** What the thread begins with: built modules to read before any of their statements is called. */
export interface ThreadData extends ThreadOptions {
  readonly sources: readonly string[];
}

export interface WriterThread {
  /**
   * `patience`: milliseconds for which they wait for another process that holds the file.
   *
   * @returns the answers once they are on disk; undefined when nothing of it remains, since one failed. @throws 503
   *   temporarily_unavailable when the file was held for longer, or nobody knows.
   */
  carryOut(calls: readonly Call[], patience: number): Promise<readonly unknown[] | undefined>;
  /** Resolves when a further batch may be handed over. */
  room(): Promise<void>;
  /** Resolves when it holds no transaction, and will not before it is asked again. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

/** One batch is carried out while others wait for it or for the disk, so that the thread is never without work. */
const IN_FLIGHT_LIMIT = 4;

const held = () =>
  refuse("temporarily_unavailable", { detail: "another process holds the database's file", retry_after: 1 });

interface Pending {
  resolve(answers: readonly unknown[] | undefined): void;
  reject(error: unknown): void;
}

export function openWriterThread(options: ThreadOptions, onQuery?: (sql: string) => void): WriterThread {
  const workerData: ThreadData = { ...options, sources: hotSources().map((source) => builtFrom(source)) };
  const worker = new Worker(new URL(builtFrom(new URL("./writer-thread.ts", import.meta.url).href)), {
    workerData,
    execArgv: [],
  });
  const gone = new Promise((resolve) => worker.once("exit", resolve));
  const pending = new Map<number, Pending>();
  const places = new Map<string, number>();
  const waiting: (() => void)[] = [];
  let batches = 0;
  let broken: Error | undefined;

  function settled(id: number): Pending | undefined {
    const one = pending.get(id);
    pending.delete(id);
    for (const wake of waiting.splice(0)) wake();
    return one;
  }

  function deliver(message: string): void {
    const outcome = JSON.parse(message) as Outcome;
    for (const text of outcome.texts ?? []) onQuery?.(text);
    const one = settled(outcome.id);
    if (outcome.fate === "durable") one?.resolve(outcome.answers);
    else if (outcome.fate === "undone") one?.resolve(undefined);
    else if (outcome.fate === "held") one?.reject(held());
    else one?.reject(fail(new BrokenDisk(outcome.message)));
  }

  worker.on("message", deliver);
  worker.on("error", (cause) => fail(new BrokenDisk("the writer thread has failed", { cause })));
  worker.on("exit", () => fail(new BrokenDisk("the writer thread has ended; the process has to be started again")));

  /** What it did last is not known, so nothing more is written: starting again replays the log. */
  function fail(error: Error): Error {
    broken ??= error;
    for (const id of pending.keys()) settled(id)?.reject(broken);
    return broken;
  }

  function batchOf(id: number, calls: readonly Call[], patience: number): Batch {
    const announced: Omit<Call, "input">[] = [];
    const placeOf = ({ name, source }: Call) => {
      const known = places.get(name);
      if (known !== undefined) return known;
      announced.push({ name, source: builtFrom(source) });
      places.set(name, places.size);
      return places.size - 1;
    };
    return { id, calls: calls.map((call) => [placeOf(call), call.input] as const), patience, announced };
  }

  return {
    async carryOut(calls, patience) {
      if (broken) throw broken;
      batches += 1;
      const id = batches;
      return new Promise((resolve, reject) => {
        pending.set(id, { resolve, reject });
        worker.postMessage(JSON.stringify(batchOf(id, calls, patience)));
      });
    },
    async room() {
      while (pending.size >= IN_FLIGHT_LIMIT) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    async idle() {
      while (pending.size > 0) await new Promise<void>((resolve) => waiting.push(resolve));
      if (broken) throw broken;
    },
    async close() {
      worker.postMessage("close");
      await gone;
    },
  };
}
