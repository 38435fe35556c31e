/**
 * Attempts at one person's secrets, one after another in a process. Each counts as a guess until it turns out right, so
 * right ones that came together would use up what wrong ones may.
 */
import { refuse } from "../../errors.ts";
import type { Guesser } from "./guess.ts";

interface Line {
  last: Promise<unknown>;
  length: number;
}

const lines = new Map<string, Line>();
/** Attempts at one person, under way and waiting. */
const LONGEST = 100;

/** Whatever `attempt` becomes, for good or ill. @throws 503 temporarily_unavailable when too many wait. */
export async function inLine<T>(
  { account_id, person }: Pick<Guesser, "account_id" | "person">,
  attempt: () => Promise<T>,
): Promise<T> {
  const name = `${account_id} ${person}`;
  const line = lines.get(name) ?? { last: Promise.resolve(), length: 0 };
  if (line.length >= LONGEST) throw refuse("temporarily_unavailable", { detail: "too many logins", retry_after: 1 });
  lines.set(name, line);
  line.length += 1;
  const mine = line.last.then(attempt);
  line.last = mine.catch(() => undefined);
  try {
    return await mine;
  } finally {
    line.length -= 1;
    if (line.length === 0) lines.delete(name);
  }
}
