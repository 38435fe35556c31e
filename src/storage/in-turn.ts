import { refuse } from "../errors.ts";

/**
 * Does one key's work in the order in which it came: alone, or with a few of those beside it that may be done `together`. What
 * others have failed at fails nobody else.
 *
 * @throws 503 temporarily_unavailable when too many wait, or it waited too long: then nothing of it was done.
 */
export type InTurn = <T>(key: string, work: () => Promise<T>, how?: "alone" | "together") => Promise<T>;

/** Who works alone has all of the places, who works together one. */
const PLACES = 10;
/** Places of one key's work, under way and waiting. */
const LONGEST = 100 * PLACES;
/** Milliseconds for which anybody waits for a turn. */
const PATIENCE = 5_000;

interface Waiting {
  readonly places: number;
  begin(): void;
}

interface Line {
  free: number;
  /** Places of those under way and of those waiting. */
  length: number;
  readonly waiting: Set<Waiting>;
}

export function openInTurn(): InTurn {
  const lines = new Map<string, Line>();
  return async (key, work, how = "alone") => {
    const places = how === "alone" ? PLACES : 1;
    const line = lines.get(key) ?? { free: PLACES, length: 0, waiting: new Set() };
    if (line.length + places > LONGEST) throw busy();
    lines.set(key, line);
    line.length += places;
    try {
      await turnIn(line, places);
    } catch (error) {
      line.length -= places;
      throw error;
    }
    try {
      return await work();
    } finally {
      line.length -= places;
      const leave = () => {
        line.free += places;
        admit(line);
        if (line.free === PLACES) lines.delete(key);
      };
      // SQLite answers without one, and others are to have their turn before the next of this line.
      if (line.waiting.size > 0) setImmediate(leave);
      else leave();
    }
  };
}

/** Resolves with so many places of the line. Who has gone when their turn comes gets none. */
function turnIn(line: Line, places: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const me = {
      places,
      begin() {
        clearTimeout(too_late);
        resolve();
      },
    };
    const too_late = setTimeout(() => {
      line.waiting.delete(me);
      admit(line);
      reject(busy());
    }, PATIENCE);
    line.waiting.add(me);
    admit(line);
  });
}

/** Nobody overtakes: whoever needs more places than there are has them before all who came later. */
function admit(line: Line): void {
  for (const next of line.waiting) {
    if (next.places > line.free) return;
    line.free -= next.places;
    line.waiting.delete(next);
    next.begin();
  }
}

const busy = () =>
  refuse("temporarily_unavailable", { detail: "too many wait for one another, or for too long", retry_after: 1 });
