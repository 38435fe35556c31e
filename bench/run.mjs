/**
 * Everything that is measured, as ratios inside one run: contenders take turns within each round and figures are
 * medians, because machines are noisy.
 *
 * Usage: npm run bench -- [--quick] [--json] [--engine sqlite|postgres] [--suite authorize,standard,…] [--requests n]
 *   [--rounds n] [--growth n] [--without-peers] [--out docs/proof/bench.md]
 * PostgreSQL comes from TEST_DATABASE_URL, or is found and started as in the tests. `--quick` ends within five minutes;
 * it leaves out what needs more. `--without-peers` compares with ceilings alone, and installs nothing. Progress goes to
 * standard error. `--out` writes the page, its plots beside it, and the figures as JSON.
 */
import { parseArgs } from "node:util";
import { closeBench } from "./harness.mjs";
import { machineOf, pageOf, writePage } from "./page.mjs";
import { preparePeers } from "./peers.mjs";
import { measureAuthorize } from "./suites/authorize.mjs";
import { measureConnections } from "./suites/connections.mjs";
import { measureGrowth } from "./suites/growth.mjs";
import { measurePasswordless } from "./suites/passwordless.mjs";
import { measureStandard } from "./suites/standard.mjs";
import { measureWorkers } from "./suites/workers.mjs";
import { measureTiming } from "./timing.mjs";

const text = { type: "string" };
const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    engine: text,
    suite: text,
    requests: text,
    rounds: text,
    growth: text,
    "without-peers": { type: "boolean", default: false },
    out: text,
  },
});
const { quick } = values;
const requests = Number(values.requests ?? (quick ? 3_000 : 10_000));
const options = {
  requests,
  /** Requests before any that count. */
  warm_up: Math.min(1_000, requests),
  /** At most so long a round. */
  seconds: quick ? 2 : 8,
  rounds: Number(values.rounds ?? (quick ? 3 : 5)),
  growth: Number(values.growth ?? (quick ? 1_000_000 : 10_000_000)),
  peers: !values["without-peers"],
};
const engines = values.engine ? [values.engine] : ["sqlite", "postgres"];
const suites = {
  authorize: measureAuthorize,
  standard: measureStandard,
  passwordless: measurePasswordless,
  connections: measureConnections,
  workers: measureWorkers,
  growth: measureGrowth,
  timing: measureTiming,
};
/** Quick, and nothing else was asked for: what the ratios of the first page need, on the engines that they need. */
const inQuick = { authorize: ["sqlite", "postgres"], standard: ["sqlite"], growth: ["sqlite"] };
const wanted = values.suite?.split(",");
for (const name of wanted ?? []) if (!(name in suites)) throw new Error(`there is no suite ${name}`);

const figures = [];
const started = Date.now();
if (options.peers) preparePeers();
try {
  for (const [name, measure] of Object.entries(suites)) {
    if (wanted && !wanted.includes(name)) continue;
    for (const engine of engines) {
      if (quick && !wanted && !inQuick[name]?.includes(engine)) continue;
      console.error(`${clock()} ${name} on ${engine} …`);
      for (const figure of await measure(engine, options)) {
        figures.push(figure);
        console.error(`${clock()}   ${lineOf(figure)}`);
      }
    }
  }
} finally {
  await closeBench();
}

const result = {
  ratios: Object.fromEntries(figures.flatMap(({ ratios = {} }) => Object.entries(ratios).map(rounded))),
  figures,
  machine: machineOf(),
  options: { ...options, quick },
};
console.log(values.json ? JSON.stringify(result, null, 2) : pageOf(result));
if (values.out) writePage(values.out, result);

function rounded([name, ratio]) {
  return [name, Number(ratio.toFixed(2))];
}

function clock() {
  return `${String(Math.round((Date.now() - started) / 1000)).padStart(4)} s`;
}

function lineOf({ what, per_second, p99_ms, told_apart, median_difference_us, ratios = {} }) {
  if (told_apart !== undefined)
    return `${what}: ${median_difference_us} µs, ${told_apart ? "told apart" : "not told apart"}`;
  const rate = per_second === undefined ? [] : [`${per_second}/s`, `p99 ${p99_ms} ms`];
  return `${what}: ${[...rate, ...Object.entries(ratios).map((entry) => rounded(entry).join(" "))].join(", ")}`;
}
