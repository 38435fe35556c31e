/**
 * What a flood of password logins does to everybody else: durable authorizations per second and their latency, with and without
 * it, interleaved. The flood is 32 connections that try passwords of people nobody knows, which costs a full hash each.
 * `--help` says what can be asked for.
 */
import { optionsOf } from "../scripts/options.mjs";
import { closeBench, load, median, requestsFor, startServer } from "./harness.mjs";
import { ACCOUNT, AUDIENCE, prepareCodes } from "./prepare.mjs";

const USAGE = `npm run bench:flood -- [options]

  --requests n        authorizations a round; 4000 where nothing is said
  --rounds n          3 where nothing is said
  --json`;
const { requests = 4_000, rounds = 3, json } = optionsOf(USAGE, { requests: "number", rounds: "number", json: true });
const FLOOD = 32;

try {
  const server = await startServer("sqlite");
  const { port, token } = server;
  const samples = { quiet: [], flood: [], logins: [] };
  const authorize = async () => load(port, requestsFor(port, token, "token", await prepareCodes(server, requests)));
  await authorize();
  for (let round = 0; round < rounds; round++) {
    samples.quiet.push(await authorize());
    const codes = await prepareCodes(server, requests);
    const flood = startFlood(port, token);
    samples.flood.push(await load(port, requestsFor(port, token, "token", codes)));
    samples.logins.push(await flood.stop());
  }
  const login = await compareLogins(server);
  await server.stop();
  const rate = (list) => median(list.map(({ ok, seconds }) => ok / seconds));
  const figure = {
    quiet_per_second: Math.round(rate(samples.quiet)),
    flooded_per_second: Math.round(rate(samples.flood)),
    ratio: Number((rate(samples.flood) / rate(samples.quiet)).toFixed(2)),
    p99_quiet_ms: median(samples.quiet.map(({ p99 }) => p99)),
    p99_flooded_ms: median(samples.flood.map(({ p99 }) => p99)),
    logins_per_second: Math.round(median(samples.logins)),
    known_ms: login.known,
    unknown_ms: login.unknown,
  };
  console.log(
    json
      ? JSON.stringify(figure)
      : `authorize ${figure.quiet_per_second}/s quiet, ${figure.flooded_per_second}/s beside ${figure.logins_per_second} password logins/s = ${figure.ratio}; p99 ${figure.p99_quiet_ms} → ${figure.p99_flooded_ms} ms\na wrong password of a known user takes ${figure.known_ms} ms, of an unknown one ${figure.unknown_ms} ms`,
  );
} finally {
  await closeBench();
}

/** The median of wrong logins of somebody who exists and of nobody, one after the other. */
async function compareLogins({ port, token }) {
  const base = `http://127.0.0.1:${port}/v1/accounts/${ACCOUNT}`;
  const post = (path, body) =>
    fetch(`${base}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    }).then((response) => response.arrayBuffer());
  const samples = { known: [], unknown: [] };
  for (let n = 0; n < 60; n++) {
    await post("/auth/users", { username: `known-${n}`, password: "a password of theirs" });
    for (const who of n % 2 ? ["known", "unknown"] : ["unknown", "known"]) {
      const body = { grant_type: "password", username: `${who}-${n}`, password: "guess", audience: AUDIENCE };
      const started = performance.now();
      await post("/auth/token", body);
      samples[who].push(performance.now() - started);
    }
  }
  const rounded = (list) => Number(median(list).toFixed(2));
  return { known: rounded(samples.known), unknown: rounded(samples.unknown) };
}

/** Keeps trying until it is stopped; answers how many logins a second were refused for a wrong password. */
function startFlood(port, token) {
  let going = true;
  let refused = 0;
  const started = performance.now();
  const attempt = async (n) => {
    const body = { grant_type: "password", username: `nobody-${n}-${refused}`, password: "guess", audience: AUDIENCE };
    const response = await fetch(`http://127.0.0.1:${port}/v1/accounts/${ACCOUNT}/auth/token`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    await response.arrayBuffer();
    if (response.status === 400) refused += 1;
  };
  const workers = Array.from({ length: FLOOD }, async (_, n) => {
    while (going) await attempt(n);
  });
  return {
    async stop() {
      going = false;
      await Promise.all(workers);
      return refused / ((performance.now() - started) / 1000);
    },
  };
}
