/**
 * Durable authorizations per second against a ceiling of the same run: one process, 32 connections, every answer a 302 with
 * a signed token, logging, limits and audit on. Rounds are interleaved, figures are medians, and what counts is the ratio.
 *
 * Usage: node bench/run.mjs [--requests 8000] [--rounds 3] [--engine sqlite|postgres] [--json]
 * PostgreSQL comes from TEST_DATABASE_URL, or is found and started as in the tests.
 */
import { closeBench, load, median, requestsFor, rssOf, startCeiling, startServer } from "./harness.mjs";
import { prepareCodes } from "./prepare.mjs";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const requests = Number(option("requests", 8_000));
const rounds = Number(option("rounds", 3));
const engines = option("engine") ? [option("engine")] : ["sqlite", "postgres"];
const results = [];

try {
  for (const engine of engines) results.push(...(await measure(engine)));
} finally {
  await closeBench();
}
if (process.argv.includes("--json")) console.log(JSON.stringify(results, null, 2));

async function measure(engine) {
  const server = await startServer(engine);
  const { config, port, token } = server;
  const ceilings = {};
  try {
    const cases = [
      { response_type: "token", alg: "ES256" },
      { response_type: "authenticate", alg: "RS256" },
    ];
    const figures = [];
    for (const { response_type, alg } of cases) {
      ceilings[alg] = await startCeiling(alg);
      const samples = { latchkey: [], ceiling: [] };
      const warmUp = requestsFor(port, token, response_type, await prepareCodes(config, 500));
      await load(port, warmUp);
      for (let round = 0; round < rounds; round++) {
        const codes = await prepareCodes(config, requests);
        const batch = requestsFor(port, token, response_type, codes);
        samples.ceiling.push(await load(ceilings[alg].port, batch));
        samples.latchkey.push(await load(port, batch));
      }
      figures.push(report(engine, response_type, alg, samples, rssOf(server.pid)));
    }
    return figures;
  } finally {
    for (const ceiling of Object.values(ceilings)) ceiling.process.kill("SIGTERM");
    await server.stop();
  }
}

function report(engine, response_type, alg, samples, rss) {
  const rate = (list) => median(list.map(({ ok, seconds }) => ok / seconds));
  const figure = {
    engine,
    response_type,
    alg,
    latchkey_per_second: Math.round(rate(samples.latchkey)),
    ceiling_per_second: Math.round(rate(samples.ceiling)),
    ratio: Number((rate(samples.latchkey) / rate(samples.ceiling)).toFixed(2)),
    p50_ms: median(samples.latchkey.map(({ p50 }) => p50)),
    p99_ms: median(samples.latchkey.map(({ p99 }) => p99)),
    rss_mb: rss,
  };
  if (!process.argv.includes("--json")) {
    console.log(
      `${engine.padEnd(8)} ${response_type.padEnd(12)} ${alg}  ${figure.latchkey_per_second}/s of ${figure.ceiling_per_second}/s = ${figure.ratio}  p50 ${figure.p50_ms} ms  p99 ${figure.p99_ms} ms  RSS ${rss} MB`,
    );
  }
  return figure;
}
