/** What every measurement needs: a server of its own, ceilings beside it, prepared requests, and what they cost. */
import { fork, spawn } from "node:child_process";
import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { readConfig } from "../dist/config.js";
import { openCore } from "../dist/core.js";
import { freePort } from "../scripts/postgres.mjs";
import { cpuOf, parentOf } from "./cpu.mjs";
import { ACCOUNT, AUDIENCE, CALLBACK, prepareTenant } from "./prepare.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "latchkey-bench-"));
const CONNECTIONS = 32;
const MASTER_KEY = Buffer.alloc(32, 9).toString("base64");
let postgres;
let generator;
let databases = 0;

/** Call it at the end. */
export async function closeBench() {
  generator?.disconnect();
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
}

/**
 * A server with one tenant, in a process of its own. NODE_ARGS go to it, for example `--cpu-prof`. `prepare(config,
 * core)` works on the database before it starts.
 */
export async function startServer(engine, further = {}, prepare = async () => {}) {
  const env = {
    DATABASE_URL: await withDatabase(engine),
    MASTER_KEY,
    PORT: String(await freePort()),
    DEMO: "0",
    ...further,
  };
  const config = readConfig({ ...env, PUBLIC_URL: `http://localhost:${env.PORT}` });
  const core = await openCore(config, { exclusive: false });
  const tenant = await prepareTenant(core);
  await prepare(config, core);
  const spawned = performance.now();
  const child = spawn(
    process.execPath,
    [...(process.env.NODE_ARGS ?? "").split(" ").filter(Boolean), here("../dist/server.js")],
    {
      env: { PATH: process.env.PATH, ...env, PUBLIC_URL: config.public_url },
      stdio: ["ignore", openSync(join(folder, `${engine}-${env.PORT}.log`), "w"), "inherit"],
    },
  );
  const stop = async () => {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await gone;
    await core.close();
  };
  await answering(`http://127.0.0.1:${env.PORT}/readyz`);
  const started_ms = Math.round(performance.now() - spawned);
  const server = { engine, config, core, tenant, client: tenant, port: env.PORT, pid: child.pid, started_ms, stop };
  return { ...server, token: await tokenOf(env.PORT, tenant) };
}

export function requestsFor(port, token, response_type, codes, account_id = ACCOUNT) {
  return codes.map((code) => requestFor(port, token, response_type, code, account_id));
}

/** `further` parameters say, for example, whose code it is. */
export function requestFor(port, token, response_type, verification_code, account_id, further = {}) {
  const query = new URLSearchParams({
    audience: AUDIENCE,
    response_type,
    client_id: "bench",
    redirect_uri: CALLBACK,
    state: "af0ifjsldkj",
    verification_code,
    ...further,
  });
  return `POST /v1/accounts/${account_id}/auth/authorize?${query} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\nContent-Length: 0\r\n\r\n`;
}

/**
 * Sends each request of the batch, `repeat` times. `rate`: so many a second, whether or not earlier ones were answered.
 * `collect`: pairs of texts; what stands between them in each answer is wanted.
 *
 * @throws when an answer was another than expected.
 */
export async function load(port, batch, { expected = 302, connections = CONNECTIONS, repeat = 1, rate, collect } = {}) {
  generator ??= fork(here("load.mjs"));
  const file = join(folder, "requests");
  writeFileSync(file, batch.join(""), "latin1");
  const answer = new Promise((resolve, reject) => {
    generator.once("message", resolve);
    generator.once("exit", () => reject(new Error("the load generator ended")));
  });
  const lengths = batch.map((request) => request.length);
  generator.send({ port: Number(port), connections, expected, file, lengths, repeat, rate, collect });
  const result = await answer;
  generator.removeAllListeners("exit");
  if (result.error || result.wrong > 0) {
    throw new Error(`not every answer was a ${expected}: ${result.error ?? result.first_wrong}`);
  }
  return result;
}

/** The same, with the rate that it came to and what a request cost each side, in microseconds of CPU time. */
export async function measure({ port, pid, engine }, batch, options) {
  const database = engine === "postgres" ? postgres?.pid : undefined;
  const spent = () => [pid, database].map((one) => (one === undefined ? 0 : cpuOf(one)));
  const before = spent();
  const answer = await load(port, batch, options);
  const [server, rows] = spent().map((after, index) => Math.round((after - before[index]) / answer.ok));
  const cpu_us = {
    server,
    ...(database === undefined ? {} : { database: rows }),
    load: Math.round(answer.cpu_us / answer.ok),
  };
  return { ...answer, per_second: answer.ok / answer.seconds, cpu_us };
}

export function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** What no store can beat: HTTP alone, or HTTP and a signature; see `ceiling.mjs`. */
export async function startCeiling(alg, ...further) {
  const child = spawn(process.execPath, [here("ceiling.mjs"), alg, ...further], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const port = await new Promise((resolve, reject) => {
    child.stdout.once("data", (chunk) => resolve(Number(String(chunk).trim())));
    child.once("exit", () => reject(new Error("the ceiling did not start")));
  });
  return { port, pid: child.pid, stop: () => stopChild(child) };
}

async function stopChild(child) {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

export async function tokenOf(port, { account_id = ACCOUNT, client_id, client_secret, issuer }) {
  const response = await fetch(`http://127.0.0.1:${port}/v1/accounts/${account_id}/auth/token`, {
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
  for (let attempt = 0; attempt < 1_000; attempt++) {
    if ((await fetch(url).catch(() => undefined))?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${url} does not answer`);
}

/** A fresh database, in a server that all measurements share. */
export async function withDatabase(engine, what = "own") {
  databases += 1;
  if (engine === "sqlite") return `sqlite:${join(folder, `${what}-${databases}.db`)}`;
  postgres ??= await findPostgres();
  const name = `latchkey_bench_${process.pid}_${databases}`;
  const admin = new pg.Client({ connectionString: postgres.url });
  await admin.connect();
  await admin.query(`drop database if exists ${name} with (force)`);
  await admin.query(`create database ${name}`);
  await admin.end();
  return postgres.url.replace(/\/[^/]*$/, `/${name}`);
}

/** `pid`: the server's, where it is ours; then its CPU time is a part of every figure. */
async function findPostgres() {
  const { startPostgres } = await import("../scripts/postgres.mjs");
  const started = await startPostgres();
  if (process.env.TEST_DATABASE_URL) return started;
  const client = new pg.Client({ connectionString: started.url });
  await client.connect();
  const { rows } = await client.query("select pg_backend_pid() as pid, version() as version");
  const pid = parentOf(rows[0].pid);
  await makeLog(client);
  await client.end();
  return { ...started, pid, version: /^\S+ \S+/.exec(rows[0].version)[0] };
}

/**
 * A server that has been in use writes over old segments of its log; a new one stops to write each of them full of
 * zeros first, which is then what the slowest requests show. This one begins with as many as it keeps.
 */
async function makeLog(client) {
  for (let segment = 0; segment < 60; segment++) {
    await client.query("select pg_logical_emit_message(false, 'bench', 'a segment')");
    await client.query("select pg_switch_wal()");
  }
  await client.query("checkpoint");
}

export const postgresVersion = () => postgres?.version;
