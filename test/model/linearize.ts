/** One finished step of a history; times by one clock. */
export interface Event<S, O> {
  readonly step: S;
  readonly outcome: O;
  readonly began: number;
  readonly ended: number;
}

/**
 * All states that a history can have led to, from any of these: the steps one after another in some order in which no
 * step comes before another that had ended when it began (Herlihy and Wing). Empty when there is no such order: then
 * what was seen is no history of an object that does one thing at a time.
 *
 * `apply` returns the same state where a step leaves it as it was. `events` are those of one object, at most thirty,
 * between two moments at which nothing was under way.
 */
export function linearize<State, S, O>(
  states: readonly State[],
  events: readonly Event<S, O>[],
  apply: (state: State, step: S, outcome: O) => State | undefined,
): State[] {
  if (events.length > 30) throw new Error(`${events.length} steps at once are more than can be ordered`);
  const all = 2 ** events.length - 1;
  const ends = new Map<string, State>();
  const seen = new Set<string>();
  const names = events.map(({ step, outcome }) => JSON.stringify([step, outcome]));
  const inOrder = [...events.entries()].toSorted(([, a], [, b]) => a.ended - b.ended);
  const visit = (state: State, done: number): void => {
    if (done === all) return void ends.set(JSON.stringify(state), state);
    const place = `${done} ${JSON.stringify(state)}`;
    if (seen.has(place)) return;
    seen.add(place);
    const left = inOrder.filter(([index]) => (done & (1 << index)) === 0);
    const firstEnd = left[0]?.[1].ended ?? 0;
    const following: [next: State, done: number][] = [];
    const tried = new Set<string>();
    for (const [index, event] of left) {
      if (event.began > firstEnd) continue;
      // Of two that are alike, the one that ended first may always come first.
      const name = names[index] ?? "";
      if (tried.has(name)) continue;
      tried.add(name);
      const next = apply(state, event.step, event.outcome);
      // What is explained now, and changes nothing, need not wait.
      if (next === state) {
        visit(state, done | (1 << index));
        return;
      }
      if (next !== undefined) following.push([next, done | (1 << index)]);
    }
    for (const [next, then] of following) visit(next, then);
  };
  for (const state of states) visit(state, 0);
  return [...ends.values()];
}
