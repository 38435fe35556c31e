/**
 * The thread that carries out hot statements: SQL and commits cost the event loop nothing. It owns a connection of its
 * own and holds a transaction only while it carries out one batch; see `thread.ts` for the other side.
 */
import { parentPort, workerData } from "node:worker_threads";
import { nextTurn } from "../pages.ts";
import type { HotStatement } from "../storage.ts";
import { begin, leaveWaiting } from "./begin.ts";
import { sqliteCode } from "./errors.ts";
import { openFlusher } from "./flusher.ts";
import { leaveCheckpoints, openConfigured } from "./open-file.ts";
import { statementsIn } from "./statements-in.ts";
import type { Batch, Outcome, ThreadData } from "./thread.ts";

type Statement = HotStatement<unknown, unknown>;

const { path, watched, sources } = workerData as ThreadData;
const seen = new Set<string>();
const file = openConfigured(path, watched ? (sql) => seen.add(sql) : undefined);
leaveCheckpoints(file);
leaveWaiting(file);
const flusher = openFlusher(path);
const places: { readonly name: string; readonly source: string }[] = [];
/** By place, as soon as they were found. */
const statements: (Statement | undefined)[] = [];
const readings = new Map<string, Promise<readonly Statement[]>>();
const failed = new Set<string>();
const told = new Set<number>();
/** Milliseconds after which a module that could not be read may be tried again. */
const PAUSE = 2_000;
let repeated = 0;
for (const source of sources) void read(source).catch(() => {});

/**
 * Batches are carried out in the order in which they came; a flush does not hold up the next of them. Between two of
 * them the event loop gets its turn, or no answer would leave before the last of those that wait was carried out.
 */
let turn: Promise<unknown> = Promise.resolve();
parentPort?.on("message", (message: string) => {
  const came = performance.now();
  turn = turn.then(() => (message === "close" ? close() : carryOut(JSON.parse(message) as Batch, came))).then(nextTurn);
});

async function carryOut({ id, calls, patience, announced = [] }: Batch, came: number): Promise<void> {
  places.push(...announced);
  for (const [place] of calls) statements[place] ??= await find(place);
  try {
    await begin(file, () => came + patience <= performance.now());
  } catch (error) {
    return reply({ id, fate: sqliteCode(error) === "SQLITE_BUSY" ? "held" : "undone" });
  }
  const answers = commit(calls);
  if (!answers) return reply({ id, fate: "undone" });
  flusher.flush().then(
    () => reply({ id, fate: "durable", answers }),
    (error: Error) => reply({ id, fate: "unknown", message: error.message }),
  );
}

/** In the transaction that has begun. @returns undefined, and leaves nothing behind, when any of them failed. */
function commit(calls: Batch["calls"]): readonly unknown[] | undefined {
  try {
    const answers = calls.map(([place, input]) => (statements[place] as Statement).sqlite(file, input));
    file.run("commit");
    return answers;
  } catch {
    try {
      file.run("rollback");
    } catch {
      // The error had already ended it.
    }
    return undefined;
  }
}

/**
 * @returns undefined where the module cannot be read, or exports none of that name: batches that call it are left undone,
 * and run where they came from.
 */
async function find(place: number): Promise<Statement | undefined> {
  const { name, source } = places[place] as (typeof places)[number];
  try {
    const found = (await read(source)).find((one) => one.name === name);
    if (found) return found;
    throw new Error("the module exports no such statement");
  } catch (error) {
    const reason = (error as Error).message;
    if (!told.has(place)) process.emitWarning(`the writer thread cannot run ${name} of ${source}: ${reason}`);
    told.add(place);
    return undefined;
  }
}

/** The hot statements of a module. One that could not be read, as where no descriptor was left, is tried again later. */
function read(source: string): Promise<readonly Statement[]> {
  const known = readings.get(source);
  if (known) return known;
  // Node.js never reads again what it could not read once, save under another address.
  const address = failed.has(source) ? `${source}#${++repeated}` : source;
  const reading = import(address).then((exported: object) => statementsIn(exported));
  readings.set(source, reading);
  reading.catch(() => {
    failed.add(source);
    setTimeout(() => readings.delete(source), PAUSE).unref();
  });
  return reading;
}

function reply(outcome: Outcome): void {
  parentPort?.postMessage(JSON.stringify(watched ? { ...outcome, texts: [...seen] } : outcome));
  seen.clear();
}

function close(): void {
  flusher.close();
  file.close();
  parentPort?.close();
}
