/**
 * Coverage-guided fuzzing, as small as it can be: an input that reaches code no earlier one reached is kept, and
 * changed again. V8 itself says what was reached, block by block.
 */
import { Session } from "node:inspector/promises";
import { type Random, randomOf } from "./random.ts";

export interface GuidedOptions {
  readonly seeds: readonly string[];
  readonly runs: number;
  readonly seed: number;
  /** Throws where the parser did something that it must not. */
  readonly check: (input: string) => unknown;
  /** Without looking where it gets, to compare with. */
  readonly blind?: boolean;
}

export interface Guided {
  /** Inputs that reached something new, the seeds among them. */
  readonly corpus: readonly string[];
  /** Ways through functions. */
  readonly ways: number;
}

/** What is looked at: rooms, as they are written or built, what reads numbers and signatures, and what is planted. */
const ROOMS = /^(?!.*\/node_modules\/).*\/(src|dist)\/|libphonenumber|\/jose\/|\/planted\.ts/;

/** @throws with the input that did it. */
export async function guided({ seeds, runs, seed, check, blind }: GuidedOptions): Promise<Guided> {
  const random = randomOf(seed);
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
      if (blind) {
        if (run < seeds.length) corpus.push(input);
        continue;
      }
      const { result } = await session.post("Profiler.takePreciseCoverage");
      let fresh = run < seeds.length;
      for (const { url, functions } of result) {
        if (!ROOMS.test(url)) continue;
        for (const { ranges } of functions) {
          // V8 names the blocks that were left out: a way through a function is told by all of its ranges.
          const way = ranges.map(({ startOffset, endOffset, count }) => `${startOffset}-${endOffset}:${often(count)}`);
          const name = `${url} ${way}`;
          if (ranges[0]?.count === 0 || reached.has(name)) continue;
          reached.add(name);
          fresh = true;
        }
      }
      if (fresh) corpus.push(input);
    }
  } finally {
    await session.post("Profiler.stopPreciseCoverage");
    session.disconnect();
  }
  return { corpus, ways: reached.size };
}

/** Roughly: loops that turn many times are another way through. */
const often = (count: number) => (count === 0 ? "-" : Math.min(4, Math.ceil(Math.log2(count + 1))));

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

function mutate(corpus: readonly string[], { below, pick, chance }: Random): string {
  // What was reached last leads on most often.
  let text = (chance(0.5) ? corpus.at(-1 - below(4)) : undefined) ?? pick(corpus);
  for (let times = 1 + below(4); times > 0; times--) {
    const at = below(text.length + 1);
    const until = Math.min(text.length, at + below(8));
    const other = pick(corpus);
    const changes = [
      () => text.slice(0, at) + pick(HOSTILE) + text.slice(at),
      () => text.slice(0, at) + text.slice(until),
      () => text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(at + 1),
      () => text.slice(0, at) + other.slice(below(other.length)),
      () => text.slice(0, until) + text.slice(at),
      () => text.slice(0, at) + (chance(0.5) ? text.slice(at).toUpperCase() : text.slice(at).toLowerCase()),
    ];
    text = pick(changes)().slice(0, 4_000);
  }
  return text;
}
