/** What every measurement needs: a server of its own, a ceiling beside it, prepared requests and a load generator. */
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { readConfig } from "../dist/config.js";
import { ACCOUNT, AUDIENCE, CALLBACK, prepareTenant } from "./prepare.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "latchkey-bench-"));
const run = promisify(execFile);
const CONNECTIONS = 32;
const MASTER_KEY = Buffer.alloc(32, 9).toString("base64");
let postgres;
let files = 0;
let databases = 0;

/** Call it at the end. */
export async function closeBench() {
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** A server with one tenant, in a process of its own. NODE_ARGS go to it, for example `--cpu-prof`. */
export async function startServer(engine, further = {}) {
  const env = {
    DATABASE_URL: await withDatabase(engine),
    MASTER_KEY,
    PORT: String(18_900 + Math.floor(Math.random() * 900)),
    DEMO: "0",
    ...further,
  };
  const config = readConfig({ ...env, PUBLIC_URL: `http://localhost:${env.PORT}` });
  const client = await prepareTenant(config);
  const child = spawn(
    process.execPath,
    [...(process.env.NODE_ARGS ?? "").split(" ").filter(Boolean), here("../dist/server.js")],
    {
      env: { PATH: process.env.PATH, ...env, PUBLIC_URL: config.public_url },
      stdio: ["ignore", openSync(join(folder, `${engine}.log`), "w"), "inherit"],
    },
  );
  const stop = async () => {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await gone;
  };
  await answering(`http://127.0.0.1:${env.PORT}/readyz`);
  return { config, port: env.PORT, pid: child.pid, client, token: await tokenOf(env.PORT, client), stop };
}

export function requestsFor(port, token, response_type, codes) {
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

/** @throws when an answer was another than expected. */
export async function load(port, batch, { expected = "302", connections = CONNECTIONS, collect = "" } = {}) {
  files += 1;
  const file = join(folder, `requests-${files}`);
  writeFileSync(file, batch.map((request) => JSON.stringify(request)).join("\n"));
  const given = [String(port), String(connections), expected, file, collect];
  const { stdout } = await run(process.execPath, [here("load.mjs"), ...given], { maxBuffer: 256 * 1024 * 1024 });
  const result = JSON.parse(stdout);
  if (result.wrong > 0 || result.ok !== batch.length) throw new Error(`not every answer was a ${expected}: ${stdout}`);
  return result;
}

export function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

export function rssOf(pid) {
  const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  return Math.round(kilobytes / 1024);
}

export async function startCeiling(alg) {
  const child = spawn(process.execPath, [here("ceiling.mjs"), alg], { stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise((resolve) =>
    child.stdout.once("data", (chunk) => resolve(Number(String(chunk).trim()))),
  );
  return { process: child, port };
}

export async function tokenOf(port, { client_id, client_secret, issuer }) {
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

async function findPostgres() {
  const { startPostgres } = await import("../scripts/postgres.mjs");
  return startPostgres();
}
