/**
 * Keeps a process and its store at work at the same time. While one batch is carried out, the process answers another
 * and reads what those who were answered ask next; if it answered two batches in a row, all their callers would come
 * back together, and from then on each side would wait for all of the other's work. So answers are handed on batch by
 * batch, and what the last ones led to leaves first.
 *
 * For the same reason what waits leaves in several batches: all in one, each of the two would wait for the other. But a
 * batch costs as much as several calls, however few are in it, so none is made smaller than `BATCH_LEAST`; fewer wait
 * for company, or for the next answers, while others are on their way.
 */
export interface Turns {
  /** A call came in that will leave with others. */
  came(): void;
  /** A batch left. */
  left(): void;
  /** `send` is called once, before the next answers are handed on. */
  before(send: () => void): void;
  /** @returns what `answers` becomes, for good or ill, when it may be handed on. */
  take<T>(answers: Promise<T>): Promise<T>;
}

export const BATCH_LEAST = 16;
/** Turns of the event loop for which answers wait while each turn brings calls. */
const LIMIT = 8;

export function openTurns(): Turns {
  const held: (() => void)[] = [];
  const senders: (() => void)[] = [];
  let came = false;
  let left = false;
  let turns = 0;

  function turn(): void {
    turns += 1;
    const expecting = came && !left && turns < LIMIT;
    came = false;
    if (!expecting && senders.length > 0) {
      for (const send of senders.splice(0)) send();
    } else if (!expecting) {
      left = false;
      turns = 0;
      held.shift()?.();
    }
    if (held.length > 0) setImmediate(turn);
  }

  async function hold(): Promise<void> {
    return new Promise((resolve) => {
      if (held.push(resolve) > 1) return;
      left = false;
      turns = 0;
      setImmediate(turn);
    });
  }

  return {
    came() {
      came = true;
    },
    left() {
      left = true;
    },
    before(send) {
      senders.push(send);
    },
    async take(answers) {
      try {
        return await answers;
      } finally {
        await hold();
      }
    },
  };
}
