/** Most of what one hash may cost: KiB of memory, KiB that all its rounds go through, lanes. A login waits for it. */
const MOST = { memory: 262_144, work: 1_048_576, lanes: 64 };

/**
 * Why no text can be held against a hash from elsewhere, in the PHC string format: its costs are none that argon2 has
 * (RFC 9106 §3.1) or more than anybody is kept waiting for, or salt or hash is none that it takes.
 */
export async function hashFault(hash: string): Promise<"costs" | "format" | undefined> {
  const [, m = 0, t = 0, p = 0] = (/\$m=(\d+),t=(\d+),p=(\d+)\$/.exec(hash) ?? []).map(Number);
  const possible = t >= 1 && p >= 1 && m >= 8 * p;
  if (!possible || m > MOST.memory || m * t > MOST.work || p > MOST.lanes) return "costs";
  const { parseOptions } = await import("@node-rs/argon2");
  try {
    parseOptions(hash);
    return undefined;
  } catch {
    return "format";
  }
}
