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
 * `events` are those of one object, at most thirty, between two moments at which nothing was under way.
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
  const visit = (state: State, done: number) => {
    const name = JSON.stringify(state);
    if (done === all) return void ends.set(name, state);
    const place = `${done} ${name}`;
    if (seen.has(place)) return;
    seen.add(place);
    const left = events.filter((_, index) => (done & (1 << index)) === 0);
    const firstEnd = Math.min(...left.map(({ ended }) => ended));
    for (const [index, event] of events.entries()) {
      if ((done & (1 << index)) !== 0 || event.began > firstEnd) continue;
      const next = apply(state, event.step, event.outcome);
      if (next !== undefined) visit(next, done | (1 << index));
    }
  };
  for (const state of states) visit(state, 0);
  return [...ends.values()];
}
