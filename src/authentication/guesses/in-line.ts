/**
 * Attempts at one person's secrets, one after another in a process. Each counts as a guess until it turns out right, so
 * right ones that came together would use up what wrong ones may.
 */
import { refuse } from "../../errors.ts";
import type { Guesser } from "./guess.ts";

interface Line {
  last: Promise<void>;
  length: number;
}

const lines = new Map<string, Line>();
/** Attempts at one person, under way and waiting. */
const LONGEST = 100;
/** Milliseconds for which anybody waits for a turn. */
const PATIENCE = 5_000;

/**
 * Whatever `attempt` becomes, for good or ill. @throws 503 temporarily_unavailable when too many wait, or it waited too long.
 */
export async function inLine<T>(
  { account_id, person }: Pick<Guesser, "account_id" | "person">,
  attempt: () => Promise<T>,
): Promise<T> {
  const name = `${account_id} ${person}`;
  const line = lines.get(name) ?? { last: Promise.resolve(), length: 0 };
  if (line.length >= LONGEST) throw busy();
  lines.set(name, line);
  line.length += 1;
  const mine = whenItsTurn(line.last, attempt);
  line.last = mine.over;
  try {
    return await mine.answer;
  } finally {
    line.length -= 1;
    if (line.length === 0) lines.delete(name);
  }
}

/** Who has gone when their turn comes attempts nothing. */
function whenItsTurn<T>(turn: Promise<void>, attempt: () => Promise<T>) {
  let gone = false;
  let over = turn;
  const answer = new Promise<T>((resolve, reject) => {
    const too_late = setTimeout(() => {
      gone = true;
      reject(busy());
    }, PATIENCE);
    over = turn.then(() => {
      clearTimeout(too_late);
      return gone ? undefined : attempt().then(resolve, reject);
    });
  });
  return { answer, over };
}

const busy = () => refuse("temporarily_unavailable", { detail: "too many logins", retry_after: 1 });
