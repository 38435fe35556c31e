/**
 * Everything that is measured, as ratios inside one run: rounds are interleaved and figures are medians, because machines are noisy.
 *
 * Usage: npm run bench -- [--quick] [--json] [--engine sqlite|postgres] [--suite authorize|standard|growth]
 *   [--requests n] [--rounds n] [--growth n] [--out file.md]
 * PostgreSQL comes from TEST_DATABASE_URL, or is found and started as in the tests. `--quick` ends within five minutes.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { closeBench } from "./harness.mjs";
import { preparePeers } from "./peers.mjs";
import { measureAuthorize } from "./suites/authorize.mjs";
import { measureGrowth } from "./suites/growth.mjs";
import { measureStandard } from "./suites/standard.mjs";

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
    out: text,
  },
});
const options = {
  requests: Number(values.requests ?? (values.quick ? 4_000 : 10_000)),
  rounds: Number(values.rounds ?? (values.quick ? 3 : 5)),
  growth: Number(values.growth ?? (values.quick ? 1_000_000 : 10_000_000)),
};
const engines = values.engine ? [values.engine] : ["sqlite", "postgres"];
const suites = { authorize: measureAuthorize, standard: measureStandard, growth: measureGrowth };
const chosen = Object.entries(suites).filter(([name]) => !values.suite || values.suite === name);
const figures = [];

preparePeers();
try {
  for (const [name, measure] of chosen) {
    for (const engine of engines) {
      // The quick run grows one engine; the full one both.
      if (name === "growth" && values.quick && !values.engine && engine !== "sqlite") continue;
      if (!values.json) console.error(`Measuring ${name} on ${engine} …`);
      figures.push(...(await measure(engine, options)));
    }
  }
} finally {
  await closeBench();
}

const ratios = Object.fromEntries(
  figures.flatMap((figure) => Object.entries(figure.ratios).map(([name, ratio]) => [name, Number(ratio.toFixed(2))])),
);
if (values.json) console.log(JSON.stringify({ ratios, figures, machine: machine(), options }, null, 2));
else console.log(page());
if (values.out) writeFileSync(values.out, page());

function machine() {
  const [{ model }] = cpus();
  const postgres = attempt(() => execFileSync("postgres", ["--version"]).toString().trim());
  const version = (name) =>
    attempt(
      () => JSON.parse(readFileSync(new URL(`peers/node_modules/${name}/package.json`, import.meta.url))).version,
    );
  const peers = { "better-auth": version("better-auth"), "oidc-provider": version("oidc-provider") };
  return { cpu: `${cpus().length} × ${model}`, node: process.versions.node, postgres, peers };
}

function attempt(work) {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function page() {
  const { cpu, node, postgres, peers } = machine();
  const beside = (others) =>
    Object.entries(others)
      .map(([name, rate]) => `${name.replace("_", "-")} ${rate}/s`)
      .join(", ");
  const rows = figures.map(
    ({ engine, what, per_second, p50_ms = "", p99_ms = "", beside: others, ratios: own }) =>
      `| ${engine} | ${what} | ${per_second} | ${p50_ms} | ${p99_ms} | ${beside(others)} | ${Object.values(own)
        .map((ratio) => ratio.toFixed(2))
        .join(", ")} |`,
  );
  return `# Measured

${cpu}; Node.js ${node}; ${postgres ?? "PostgreSQL of the tests"}; better-auth ${peers["better-auth"]}, oidc-provider ${peers["oidc-provider"]}.
One process a server, 32 connections, ${options.rounds} interleaved rounds of ${options.requests} requests, medians.

| engine | what | a second | p50 ms | p99 ms | beside it | ratio |
| --- | --- | --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}
