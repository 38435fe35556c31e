import { refuse } from "../errors.ts";

/**
 * Does of one key's work one at a time, in the order in which it came; what others have failed at fails nobody else.
 *
 * @throws 503 temporarily_unavailable when too many wait, or it waited too long: then nothing of it was done.
 */
export type InTurn = <T>(key: string, work: () => Promise<T>) => Promise<T>;

interface Line {
  last: Promise<void>;
  length: number;
}

/** Work of one key, under way and waiting. */
const LONGEST = 100;
/** Milliseconds for which anybody waits for a turn. */
const PATIENCE = 5_000;

export function openInTurn(): InTurn {
  const lines = new Map<string, Line>();
  return async (key, work) => {
    const line = lines.get(key) ?? { last: Promise.resolve(), length: 0 };
    if (line.length >= LONGEST) throw busy();
    lines.set(key, line);
    line.length += 1;
    const mine = whenItsTurn(line.last, work);
    line.last = mine.over;
    try {
      return await mine.answer;
    } finally {
      line.length -= 1;
      if (line.length === 0) lines.delete(key);
    }
  };
}

/** Who has gone when their turn comes does nothing. */
function whenItsTurn<T>(turn: Promise<void>, work: () => Promise<T>) {
  let gone = false;
  let over = turn;
  const answer = new Promise<T>((resolve, reject) => {
    const too_late = setTimeout(() => {
      gone = true;
      reject(busy());
    }, PATIENCE);
    over = turn.then(async () => {
      clearTimeout(too_late);
      if (gone) return;
      await work().then(resolve, reject);
      // SQLite answers without one, and others are to have their turn before the next of this line.
      await new Promise((turned) => setImmediate(turned));
    });
  });
  return { answer, over };
}

const busy = () =>
  refuse("temporarily_unavailable", { detail: "too many wait for one another, or for too long", retry_after: 1 });
