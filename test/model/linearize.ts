/** One finished step of a history; times by one clock. */
export interface Event<S, O> {
  readonly step: S;
  readonly outcome: O;
  readonly began: number;
  readonly ended: number;
}

/**
 * All states that a history can have led to, from any of these: the steps one after another in some order in which no step comes before
 * another that had ended when it began (Herlihy and Wing). Empty when there is no such order: then what was seen is no history of
 * an object that does one thing at a time.
 *
 * `events` are those of one object, between two moments at which nothing was under way.
 */
export function linearize<State, S, O>(
  states: readonly State[],
  events: readonly Event<S, O>[],
  apply: (state: State, step: S, outcome: O) => State | undefined,
): State[] {
  const ends = new Map<string, State>();
  const seen = new Set<string>();
  const visit = (state: State, done: ReadonlySet<number>) => {
    const left = events.map((_, index) => index).filter((index) => !done.has(index));
    if (left.length === 0) return void ends.set(JSON.stringify(state), state);
    const place = `${left.join(",")} ${JSON.stringify(state)}`;
    if (seen.has(place)) return;
    seen.add(place);
    const firstEnd = Math.min(...left.map((index) => events[index]?.ended ?? 0));
    for (const index of left) {
      const event = events[index];
      if (!event || event.began > firstEnd) continue;
      const next = apply(state, event.step, event.outcome);
      if (next !== undefined) visit(next, new Set([...done, index]));
    }
  };
  for (const state of states) visit(state, new Set());
  return [...ends.values()];
}
