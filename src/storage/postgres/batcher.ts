import { refuse } from "../../errors.ts";
import type { HotStatement } from "../storage.ts";
import { BATCH_LEAST, type Turns } from "../turns.ts";
import { isHeld } from "./errors.ts";

interface Call<I, O> {
  readonly key: string;
  readonly input: I;
  resolve(answer: O): void;
  reject(error: unknown): void;
  /** Somebody still waits for it. */
  waits(): boolean;
}

/** What travels as one item of a batch: one call, or all calls of one key merged. */
interface Item<I, O> {
  readonly key: string;
  readonly input: I;
  readonly calls: readonly Call<I, O>[];
}

const BATCH_LIMIT = 64;
/** A batch takes a third of what waits; see `turns.ts`. */
const SHARES = 3;
/**
 * Milliseconds for which fewer than `BATCH_LEAST` wait. Not longer, because the batch on its way may have to wait for
 * somebody else's lock.
 */
const PATIENCE = 2;
/** With fewer, a batch would wait for another's flush; PostgreSQL flushes those that commit together at once. */
const IN_FLIGHT_LIMIT = 4;
const QUEUE_LIMIT = 20_000;
/** Milliseconds between two rounds of what waits for rows that somebody holds for long. */
const PAUSE = 50;

export type Batcher<I, O> = (input: I) => Promise<O>;

type Execute<I, O> = (inputs: readonly I[]) => Promise<readonly O[]>;

/** How a statement is executed: for a batch, and for one item that may be held. */
export interface Execution<I, O> {
  readonly together: Execute<I, O>;
  readonly briefly: Execute<I, O>;
}

/**
 * Micro-batching: calls of one hot statement that arrive while batches are in flight travel as one, so a busy process
 * pays for one round trip and one flush instead of sixty-four. An idle one waits for nobody.
 *
 * Keys are sorted within a batch, so that two batches lock rows in one order. When a batch fails, its items go again one by
 * one, so a bad row fails alone. So does what needs a row that somebody holds for long: it is tried again in a place of its own,
 * and keeps none of the others'. `briefly` hardly waits for such a row, since many of a batch may be held.
 * `deadline` in milliseconds; after it a caller is refused, whatever becomes of the statement.
 */
export function openBatcher<I, O>(
  statement: HotStatement<I, O>,
  execution: Execution<I, O>,
  deadline: number,
  turns: Turns,
): Batcher<I, O> {
  let queue: Call<I, O>[] = [];
  let inFlight = 0;
  let scheduled = false;
  let patience: NodeJS.Timeout | undefined;
  const busy = new Set<string>();
  const inTurn =
    (execute: Execute<I, O>): Execute<I, O> =>
    (inputs) =>
      turns.take(execute(inputs));
  const turned = { together: inTurn(execution.together), briefly: inTurn(execution.briefly) };
  const hold = openHeld(statement, execution, ({ key }) => {
    busy.delete(key);
    schedule();
  });

  function schedule(): void {
    if (scheduled || inFlight >= IN_FLIGHT_LIMIT || queue.length === 0) return;
    if (inFlight > 0 && queue.length < BATCH_LEAST) {
      if (patience === undefined) {
        patience = setTimeout(dispatch, PATIENCE);
        turns.before(() => patience && dispatch());
      }
      return;
    }
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      dispatch();
    });
  }

  function dispatch(): void {
    clearTimeout(patience);
    patience = undefined;
    const limit = Math.min(BATCH_LIMIT, Math.max(BATCH_LEAST, Math.ceil(queue.length / SHARES)));
    while (inFlight < IN_FLIGHT_LIMIT && queue.length > 0) {
      const [items, rest] = selectBatch(statement, queue, busy, limit);
      if (items.length === 0) return;
      queue = rest;
      inFlight++;
      turns.left();
      for (const item of items) busy.add(item.key);
      const waiting = new Set<Item<I, O>>();
      const wait = (item: Item<I, O>) => void waiting.add(item);
      void settle(statement, turned, items, wait).finally(() => {
        inFlight--;
        for (const item of items) if (!waiting.has(item)) busy.delete(item.key);
        hold([...waiting]);
        schedule();
      });
    }
  }

  function drop(call: Call<I, O>): void {
    queue = queue.filter((waiting) => waiting !== call);
  }

  return (input) =>
    new Promise<O>((resolve, reject) => {
      if (queue.length >= QUEUE_LIMIT) {
        reject(unanswered(statement, "too many calls waiting"));
        return;
      }
      queue.push(openCall(statement, input, { resolve, reject }, deadline, drop));
      turns.came();
      schedule();
    });
}

const unanswered = ({ name }: { readonly name: string }, why: string) =>
  refuse("temporarily_unavailable", { detail: `${name}: ${why}`, retry_after: 1 });

/** `late` is told of one that had no answer in time. */
function openCall<I, O>(
  statement: HotStatement<I, O>,
  input: I,
  { resolve, reject }: Pick<Call<I, O>, "resolve" | "reject">,
  deadline: number,
  late: (call: Call<I, O>) => void,
): Call<I, O> {
  let waits = true;
  const timer = setTimeout(() => {
    waits = false;
    late(call);
    reject(unanswered(statement, "no answer from the database"));
  }, deadline);
  const call: Call<I, O> = {
    key: statement.key(input),
    input,
    waits: () => waits,
    resolve: (answer) => {
      clearTimeout(timer);
      resolve(answer);
    },
    reject: (error) => {
      clearTimeout(timer);
      reject(error);
    },
  };
  return call;
}

/**
 * What waits for a row that somebody holds for long: tried one after the other, round by round, until each has its
 * answer or nobody waits for it any more; `done` hears of that.
 */
function openHeld<I, O>(
  statement: HotStatement<I, O>,
  { briefly }: Execution<I, O>,
  done: (item: Item<I, O>) => void,
): (items: readonly Item<I, O>[]) => void {
  let held: Item<I, O>[] = [];
  let trying = false;

  async function tryAll(): Promise<void> {
    trying = true;
    while (held.length > 0) {
      const round = held;
      held = [];
      const again = new Set<Item<I, O>>();
      for (const item of round) {
        if (item.calls.some((call) => call.waits()))
          await settle(statement, { together: briefly, briefly }, [item], (one) => again.add(one));
        if (!again.has(item)) done(item);
      }
      held.push(...again);
      if (again.size > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    trying = false;
  }

  return (items) => {
    held.push(...items);
    if (!trying && held.length > 0) void tryAll();
  };
}

/** Takes what may travel now; leaves the rest in order. */
function selectBatch<I, O>(
  statement: HotStatement<I, O>,
  queue: readonly Call<I, O>[],
  busy: ReadonlySet<string>,
  limit: number,
): [Item<I, O>[], Call<I, O>[]] {
  const { mode } = statement;
  const chosen = new Map<string, Call<I, O>[]>();
  const rest: Call<I, O>[] = [];
  for (const call of queue) {
    const same = chosen.get(call.key);
    if (same && mode.kind === "counting") same.push(call);
    else if (same || busy.has(call.key) || chosen.size >= limit) rest.push(call);
    else chosen.set(call.key, [call]);
  }
  const items = [...chosen].map(([key, calls]): Item<I, O> => {
    const inputs = calls.map((call) => call.input);
    const [first] = inputs as [I, ...I[]];
    return { key, calls, input: mode.kind === "counting" ? mode.merge(inputs) : first };
  });
  items.sort((a, b) => (a.key < b.key ? -1 : 1));
  return [items, rest];
}

async function settle<I, O>(
  statement: HotStatement<I, O>,
  { together, briefly }: Execution<I, O>,
  items: readonly Item<I, O>[],
  hold: (item: Item<I, O>) => void,
): Promise<void> {
  try {
    const answers = await together(items.map((item) => item.input));
    items.forEach((item, index) => {
      answer(statement, item, answers[index] as O);
    });
  } catch (error) {
    const [first] = items;
    if (items.length === 1 && first && isHeld(error)) return hold(first);
    if (items.length === 1 || !(isRowError(error) || isHeld(error))) {
      for (const item of items) for (const call of item.calls) call.reject(error);
      return;
    }
    for (const item of items) await settle(statement, { together: briefly, briefly }, [item], hold);
  }
}

function answer<I, O>(statement: HotStatement<I, O>, item: Item<I, O>, total: O): void {
  const { mode } = statement;
  const answers =
    mode.kind === "counting"
      ? mode.split(
          total,
          item.calls.map((call) => call.input),
        )
      : [total];
  item.calls.forEach((call, index) => {
    call.resolve(answers[index] as O);
  });
}

/** A fault of the data (classes 22, 23) belongs to one row; anything else would fail again for each. */
function isRowError(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && /^(2[23]|invalid_request$)/.test(code);
}
