const SHORTEST = 1_000;
const LONGEST = 5 * 60_000;

/**
 * Milliseconds until the next attempt: doubling from 1 s to 5 min with a quarter of jitter either way, and never more than
 * a quarter of the message's remaining life, so that a code still arrives while it is good for something.
 */
export function retryDelay(attempts: number, remaining: number, random: () => number): number {
  const doubled = Math.min(LONGEST, SHORTEST * 2 ** Math.min(attempts - 1, 20));
  const jittered = doubled * (0.75 + random() / 2);
  return Math.round(Math.max(SHORTEST, Math.min(LONGEST, jittered, remaining / 4)));
}
