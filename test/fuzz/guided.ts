/**
 * Coverage-guided fuzzing, as small as it can be: an input that reaches code no earlier one reached is kept, and changed again. V8 itself says
 * what was reached, block by block.
 */
import { Session } from "node:inspector/promises";

export interface GuidedOptions {
  readonly seeds: readonly string[];
  readonly runs: number;
  readonly seed: number;
  /** Throws where the parser did something that it must not. */
  readonly check: (input: string) => unknown;
}

export interface Guided {
  /** Inputs that reached something new, the seeds among them. */
  readonly corpus: readonly string[];
  readonly blocks: number;
}

/** @throws with the input that did it. */
export async function guided({ seeds, runs, seed, check }: GuidedOptions): Promise<Guided> {
  const random = mulberry(seed);
  const session = new Session();
  session.connect();
  const reached = new Set<string>();
  const corpus: string[] = [];
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    for (let run = 0; run < runs + seeds.length; run++) {
      const input = run < seeds.length ? (seeds[run] ?? "") : mutate(corpus, random);
      try {
        await check(input);
      } catch (error) {
        throw new Error(`seed ${seed}, input ${JSON.stringify(input)}: ${(error as Error).stack}`);
      }
      const { result } = await session.post("Profiler.takePreciseCoverage");
      let fresh = run < seeds.length;
      for (const { url, functions } of result) {
        if (!/\/src\/|libphonenumber|\/jose\//.test(url)) continue;
        for (const { ranges } of functions) {
          for (const { startOffset, endOffset, count } of ranges) {
            if (count === 0) continue;
            // How often counts too, roughly: loops that turn many times are another way through.
            const block = `${url}:${startOffset}-${endOffset}:${Math.min(4, Math.ceil(Math.log2(count + 1)))}`;
            if (reached.has(block)) continue;
            reached.add(block);
            fresh = true;
          }
        }
      }
      if (fresh) corpus.push(input);
    }
  } finally {
    await session.post("Profiler.stopPreciseCoverage");
    session.disconnect();
  }
  return { corpus, blocks: reached.size };
}

const HOSTILE = [
  "\0",
  "\r\n",
  "%",
  "%00",
  "%ff",
  "%2e%2e",
  "\ud800",
  "\u202e",
  "é",
  "İ",
  "ß",
  "＠",
  "@",
  "//",
  "\\",
  "#",
  "?",
  "&",
  "=",
  "=",
  ".",
  "..",
  "'",
  '"',
  "<b>",
  "{",
  "}",
  "[",
  "]",
  "null",
  "-1",
  "1e999",
  "9".repeat(40),
  "A".repeat(300),
  "+",
  " ",
  "\t",
  ":",
  ":99999",
  "[::1]",
  "127.0.0.1",
  "__proto__",
  "constructor",
  "eyJhbGciOiJub25lIn0",
  "none",
  "HS256",
];

function mutate(corpus: readonly string[], random: () => number): string {
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
  let text = corpus.length > 0 ? pick(corpus) : "";
  for (let times = 1 + Math.floor(random() * 4); times > 0; times--) {
    const at = Math.floor(random() * (text.length + 1));
    const until = Math.min(text.length, at + Math.floor(random() * 8));
    const other = corpus.length > 0 ? pick(corpus) : "";
    const changes = [
      () => text.slice(0, at) + pick(HOSTILE) + text.slice(at),
      () => text.slice(0, at) + text.slice(until),
      () => text.slice(0, at) + String.fromCharCode(Math.floor(random() * 256)) + text.slice(at + 1),
      () => text.slice(0, at) + other.slice(Math.floor(random() * other.length)),
      () => text.slice(0, until) + text.slice(at),
      () => text.slice(0, at) + (random() < 0.5 ? text.slice(at).toUpperCase() : text.slice(at).toLowerCase()),
    ];
    text = pick(changes)().slice(0, 4_000);
  }
  return text;
}

/** Random numbers that a seed repeats. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
