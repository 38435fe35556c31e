/** From samples to figures: contenders take turns within each round, and what is reported are medians over the rounds. */
import { rssOf } from "./cpu.mjs";
import { median } from "./harness.mjs";

/**
 * `contenders`: name → a function that measures it once. Every other round goes backwards, so that nobody is always the
 * first.
 */
export async function takeTurns(rounds, contenders) {
  const names = Object.keys(contenders);
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 ? names.toReversed() : names) samples[name].push(await contenders[name](round));
  }
  return samples;
}

/**
 * No more requests than take about so many seconds a round, as a warm-up shows: a slow machine then takes no longer,
 * but measures less.
 */
export function fitting({ requests, seconds }, { ok, seconds: took }) {
  return Math.max(Math.min(requests, 250), Math.min(requests, Math.ceil((ok / took) * seconds)));
}

/** Neighbours of one round are compared, then the median over the rounds is taken. */
export function ratioOf(ours, theirs) {
  return median(ours.map(({ per_second }, round) => per_second / theirs[round].per_second));
}

export function rateOf(samples) {
  return Math.round(median(samples.map(({ per_second }) => per_second)));
}

/** The part of a figure that every measurement has. */
export function figureOf({ suite, server, what, samples, beside = {}, ratios = {} }) {
  const of = (read) => median(samples.map(read));
  const sides = Object.keys(samples[0].cpu_us ?? {});
  return {
    suite,
    engine: server.engine,
    what,
    per_second: rateOf(samples),
    p50_ms: of(({ p50 }) => p50),
    p99_ms: of(({ p99 }) => p99),
    cpu_us: Object.fromEntries(sides.map((side) => [side, of(({ cpu_us }) => cpu_us[side])])),
    rss_mb: rssOf(server.pid),
    beside: Object.fromEntries(Object.entries(beside).map(([name, list]) => [name, rateOf(list)])),
    ratios,
  };
}

/** SQLite is what a name means without a word. */
export const suffixOf = (engine) => (engine === "sqlite" ? "" : `_${engine}`);
