/**
 * Everything that is measured, as ratios inside one run: contenders take turns within each round and figures are
 * medians, because machines are noisy.
 *
 * `--help` says what can be asked for.
 */
import { optionsOf } from "../scripts/options.mjs";
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

const suites = {
  authorize: measureAuthorize,
  standard: measureStandard,
  passwordless: measurePasswordless,
  connections: measureConnections,
  workers: measureWorkers,
  growth: measureGrowth,
  timing: measureTiming,
};
const ENGINES = ["sqlite", "postgres"];
const USAGE = `npm run bench -- [options]

  --quick             end within five minutes, without what needs more
  --engine name       ${ENGINES.join(" or ")} alone
  --suite names       ${Object.keys(suites).join(",")}
  --requests n        at most so many a round
  --rounds n
  --growth n          how many codes the database grows to
  --without-peers     compare with ceilings alone, and install nothing
  --json              print figures instead of the page
  --out file.md       write the page, its plots beside it, and the figures as JSON

PostgreSQL comes from TEST_DATABASE_URL, or is found and started as in the tests. Progress goes to standard error.`;
const values = optionsOf(USAGE, {
  quick: true,
  engine: ENGINES,
  suite: { severalOf: Object.keys(suites) },
  requests: "number",
  rounds: "number",
  growth: "number",
  "without-peers": true,
  json: true,
  out: "text",
});
const { quick = false } = values;
const requests = values.requests ?? (quick ? 3_000 : 10_000);
const options = {
  requests,
  /** Requests before any that count. */
  warm_up: Math.min(1_000, requests),
  /** At most so long a round. */
  seconds: quick ? 2 : 8,
  rounds: values.rounds ?? (quick ? 3 : 5),
  growth: values.growth ?? (quick ? 1_000_000 : 10_000_000),
  peers: !values["without-peers"],
};
const engines = values.engine ? [values.engine] : ENGINES;
/** Quick, and nothing else was asked for: what the ratios of the first page need, on the engines that they need. */
const inQuick = { authorize: ENGINES, standard: ["sqlite"], growth: ["sqlite"] };
const wanted = values.suite;

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
