/**
 * Whether two kinds of requests can be told apart by a stopwatch, and how much of a difference would have been seen.
 *
 * Four contenders each have one request in every round, in an order that is drawn anew: two that are compared; the
 * first kind again, which shows what "nothing" looks like; and the first kind with a delay planted, which has to be
 * noticed. What differs is two quantiles, the median and the 10th percentile, where noise is smallest. A difference
 * stands with what chance does to it: rounds are drawn again with replacement, and 3.3 standard deviations of what
 * comes out hold 99.9 % of it.
 */
import { randomInt } from "node:crypto";
import { openWire, statusOf } from "./wire.mjs";

export const PLANTED_US = 100;
const QUANTILES = { median: 0.5, low: 0.1 };
const REDRAWN = 500;
const DEVIATIONS = 3.3;

/**
 * Microseconds that each request took. `contenders`: lists of steps of equal length, by name; a step is `{ lead, timed,
 * status }`, where `lead`, if there, is sent first and not timed.
 */
export async function clockRounds(port, contenders) {
  const line = await openLine(port);
  const names = Object.keys(contenders);
  const rounds = contenders[names[0]].length;
  const taken = Object.fromEntries(names.map((name) => [name, new Float64Array(rounds)]));
  try {
    for (let round = 0; round < rounds; round++)
      for (const name of shuffled(names)) taken[name][round] = await clock(line, contenders[name][round], name);
  } finally {
    line.close();
  }
  return taken;
}

async function clock(line, { lead, timed, status }, name) {
  if (lead) await line.ask(lead.request, lead.status);
  const started = performance.now();
  // Busy, because timers are late by more than this.
  while (name === "planted" && (performance.now() - started) * 1000 < PLANTED_US);
  return ((await line.ask(timed, status)) - started) * 1000;
}

/** `ask` resolves to when the answer was there in full. @throws when it was another than expected. */
async function openLine(port) {
  let waiting;
  const wire = await openWire(port, {
    answered(bytes) {
      const at = performance.now();
      if (statusOf(bytes) === waiting.status) waiting.resolve(at);
      else waiting.reject(new Error(`not a ${waiting.status}: ${bytes.latin1Slice()}`));
    },
    failed: (error) => waiting?.reject(error),
  });
  const ask = (request, status) =>
    new Promise((resolve, reject) => {
      waiting = { status, resolve, reject };
      wire.send(request);
    });
  return { ask, close: wire.close };
}

function shuffled(names) {
  const order = [...names];
  for (let last = order.length - 1; last > 0; last--) {
    const other = randomInt(last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

/** What `clockRounds` brought, of `first`, `second`, `again` and `planted`: each compared with the first. */
export function tellApart(taken) {
  const drawn = drawAgain(taken);
  const differenceTo = (name) =>
    Object.fromEntries(
      Object.entries(QUANTILES).map(([quantile, share]) => {
        const us = quantileOf(taken[name], share) - quantileOf(taken.first, share);
        const chance = drawn.map((values) => values[name][quantile] - values.first[quantile]);
        return [quantile, { us, within_us: DEVIATIONS * deviation(chance) }];
      }),
    );
  const [second, again, planted] = ["second", "again", "planted"].map(differenceTo);
  const stands = (difference) =>
    Object.keys(QUANTILES).some((quantile) => {
      const { us, within_us } = difference[quantile];
      return Math.abs(us) > within_us && Math.abs(us) > Math.abs(again[quantile].us);
    });
  const median_us = quantileOf(taken.first, QUANTILES.median);
  return { median_us, second, again, planted, told_apart: stands(second), detected: stands(planted) };
}

/** Quantiles of each contender as they might have been: the same rounds for all of them, so that what all share stays shared. */
function drawAgain(taken) {
  const rounds = taken.first.length;
  const sorted = Object.entries(taken).map(([name, values]) => [
    name,
    Array.from(values.keys()).sort((a, b) => values[a] - values[b]),
  ]);
  return Array.from({ length: REDRAWN }, () => {
    const times = new Uint32Array(rounds);
    for (let n = 0; n < rounds; n++) times[Math.floor(Math.random() * rounds)]++;
    const quantiles = (values, order) =>
      Object.entries(QUANTILES).map(([quantile, share]) => [quantile, values[placeOf(order, times, share * rounds)]]);
    return Object.fromEntries(sorted.map(([name, order]) => [name, Object.fromEntries(quantiles(taken[name], order))]));
  });
}

/** The round at which so many were passed, when each counts so many times. */
function placeOf(order, times, many) {
  let passed = 0;
  return order.find((round) => {
    passed += times[round];
    return passed > many;
  });
}

function quantileOf(values, share) {
  return values.toSorted()[Math.floor(values.length * share)];
}

function deviation(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}
