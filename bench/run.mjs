/**
 * Durable authorizations per second against a ceiling of the same run: one process, 32 connections, every answer a 302 with
 * a signed token, logging, limits and audit on. Rounds are interleaved, figures are medians, and what counts is the ratio.
 *
 * Usage: node bench/run.mjs [--requests 8000] [--rounds 3] [--engine sqlite|postgres] [--json]
 * PostgreSQL comes from TEST_DATABASE_URL, or is found and started as in the tests.
 */
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { readConfig } from "../dist/config.js";
import { ACCOUNT, AUDIENCE, CALLBACK, prepareCodes, prepareTenant } from "./prepare.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const requests = Number(option("requests", 8_000));
const rounds = Number(option("rounds", 3));
const engines = option("engine") ? [option("engine")] : ["sqlite", "postgres"];
const folder = mkdtempSync(join(tmpdir(), "latchkey-bench-"));
const run = promisify(execFile);
const CONNECTIONS = 32;
const MASTER_KEY = Buffer.alloc(32, 9).toString("base64");
const results = [];

const postgres = engines.includes("postgres") ? await findPostgres() : undefined;
try {
  for (const engine of engines) results.push(...(await measure(engine)));
} finally {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
}
if (process.argv.includes("--json")) console.log(JSON.stringify(results, null, 2));

async function measure(engine) {
  const env = {
    DATABASE_URL: await database(engine),
    MASTER_KEY,
    PORT: String(18_900 + Math.floor(Math.random() * 900)),
    DEMO: "0",
  };
  const config = readConfig({ ...env, PUBLIC_URL: `http://localhost:${env.PORT}` });
  const client = await prepareTenant(config);
  const logPath = join(folder, `${engine}.log`);
  const server = spawn(process.execPath, [here("../dist/server.js")], {
    env: { PATH: process.env.PATH, ...env, PUBLIC_URL: config.public_url },
    stdio: ["ignore", openSync(logPath, "w"), "inherit"],
  });
  const ceilings = {};
  try {
    await answering(`http://127.0.0.1:${env.PORT}/readyz`);
    const token = await tokenOf(env.PORT, client);
    const cases = [
      { response_type: "token", alg: "ES256" },
      { response_type: "authenticate", alg: "RS256" },
    ];
    const figures = [];
    for (const { response_type, alg } of cases) {
      ceilings[alg] = await startCeiling(alg);
      const samples = { latchkey: [], ceiling: [] };
      const warmUp = requestsFor(env.PORT, token, response_type, await prepareCodes(config, 500));
      await load(env.PORT, warmUp);
      for (let round = 0; round < rounds; round++) {
        const codes = await prepareCodes(config, requests);
        const batch = requestsFor(env.PORT, token, response_type, codes);
        samples.ceiling.push(await load(ceilings[alg].port, batch));
        samples.latchkey.push(await load(env.PORT, batch));
      }
      figures.push(report(engine, response_type, alg, samples, rssOf(server.pid)));
    }
    return figures;
  } finally {
    for (const ceiling of Object.values(ceilings)) ceiling.process.kill("SIGTERM");
    const gone = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGTERM");
    await gone;
  }
}

function requestsFor(port, token, response_type, codes) {
  return codes.map((verification_code) => {
    const query = new URLSearchParams({
      audience: AUDIENCE,
      response_type,
      client_id: "bench",
      redirect_uri: CALLBACK,
      state: "af0ifjsldkj",
      verification_code,
    });
    return `POST /v1/accounts/${ACCOUNT}/auth/authorize?${query} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\nContent-Length: 0\r\n\r\n`;
  });
}

async function load(port, batch) {
  const file = join(folder, "requests");
  writeFileSync(file, batch.map((request) => JSON.stringify(request)).join("\n"));
  const { stdout } = await run(process.execPath, [here("load.mjs"), String(port), String(CONNECTIONS), "302", file]);
  const result = JSON.parse(stdout);
  if (result.wrong > 0 || result.ok !== batch.length) throw new Error(`not every answer was a 302: ${stdout}`);
  return result;
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

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

function rssOf(pid) {
  const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  return Math.round(kilobytes / 1024);
}

async function startCeiling(alg) {
  const child = spawn(process.execPath, [here("ceiling.mjs"), alg], { stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise((resolve) =>
    child.stdout.once("data", (chunk) => resolve(Number(String(chunk).trim()))),
  );
  return { process: child, port };
}

async function tokenOf(port, { client_id, client_secret, issuer }) {
  const response = await fetch(`http://127.0.0.1:${port}/v1/accounts/${ACCOUNT}/auth/token`, {
    method: "POST",
    headers: {
      authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString("base64")}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ grant_type: "client_credentials", audience: issuer }),
  });
  return (await response.json()).access_token;
}

async function answering(url) {
  for (let attempt = 0; attempt < 400; attempt++) {
    if ((await fetch(url).catch(() => undefined))?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${url} does not answer`);
}

async function database(engine) {
  if (engine === "sqlite") return `sqlite:${join(folder, "bench.db")}`;
  const name = `latchkey_bench_${process.pid}`;
  const admin = new pg.Client({ connectionString: postgres.url });
  await admin.connect();
  await admin.query(`drop database if exists ${name} with (force)`);
  await admin.query(`create database ${name}`);
  await admin.end();
  return postgres.url.replace(/\/[^/]*$/, `/${name}`);
}

async function findPostgres() {
  const { startPostgres } = await import("../scripts/postgres.mjs");
  return startPostgres();
}
