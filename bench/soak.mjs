/**
 * A long run at half of what the server can do: codes are minted and redeemed, clients get tokens and have them introspected, at a steady
 * rate that does not wait for answers. Memory, open files, the rate and the latency of a redemption are noted every few seconds.
 *
 * Usage: node bench/soak.mjs [--engine sqlite|postgres] [--minutes 30] [--rate logins a second] [--out folder] [--json]
 * Without --rate, what the server can do is measured first. Ends with status 1 when an answer was wrong.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { closeBench, median, rssOf, startServer, tokenOf } from "./harness.mjs";
import { plot } from "./plot.mjs";
import { ACCOUNT, AUDIENCE, CALLBACK } from "./prepare.mjs";

const { values } = parseArgs({
  options: {
    engine: { type: "string", default: "sqlite" },
    minutes: { type: "string", default: "30" },
    rate: { type: "string" },
    out: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const { engine } = values;
const PEOPLE = 256;
const EVERY = Math.min(10, Number(values.minutes) * 6) * 1_000;

const server = await startServer(engine);
let { token } = server;
const renewal = setInterval(async () => {
  token = await tokenOf(server.port, server.client);
}, 120_000);
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const wrong = new Map();
try {
  const people = await makePeople();
  const rate = values.rate ? Number(values.rate) : Math.round((await measureFull(people)) / 2);
  const samples = await soak(people, rate);
  report(rate, samples);
} finally {
  clearInterval(renewal);
  agent.destroy();
  await server.stop();
  await closeBench();
}

async function makePeople() {
  const people = [];
  for (let n = 0; n < PEOPLE; n++) {
    const { body } = await post("/customers/users", { email: `soak-${n}@example.com` });
    people.push(JSON.parse(body).id);
  }
  return people;
}

/** One login: a code is minted and redeemed; every fourth also asks for a client's token and introspects it. */
async function logIn(user_id, further) {
  const minted = await expectStatus(
    200,
    post("/auth/passwordless/code", { audience: AUDIENCE, client_id: "bench", user_id }),
  );
  const { verification_code } = JSON.parse(minted.body);
  const query = new URLSearchParams({
    audience: AUDIENCE,
    response_type: "token",
    client_id: "bench",
    redirect_uri: CALLBACK,
    state: "soak",
    verification_code,
  });
  const started = performance.now();
  await expectStatus(302, post(`/auth/authorize?${query}`, undefined));
  const took = performance.now() - started;
  if (further) {
    const asked = { grant_type: "client_credentials", resource: AUDIENCE };
    const { body } = await expectStatus(200, post("/oauth/token", asked, basic()));
    await expectStatus(200, post("/oauth/introspect", { token: JSON.parse(body).access_token }, basic()));
  }
  return took;
}

async function measureFull(people) {
  const end = performance.now() + 8_000;
  let done = 0;
  await Promise.all(
    people.slice(0, 32).map(async (user) => {
      for (let n = 0; performance.now() < end; n++, done++) await logIn(user, n % 4 === 0);
    }),
  );
  return done / 8;
}

async function soak(people, rate) {
  const samples = [];
  const began = performance.now();
  const idle = [...people];
  let [took, started, done, late] = [[], 0, 0, 0];
  const timer = setInterval(() => {
    for (const due = ((performance.now() - began) / 1000) * rate; started < due; started++) {
      const user = idle.pop();
      // Everybody is busy: the server does not keep up, and that is noted, not hidden.
      if (user === undefined) {
        late++;
        continue;
      }
      logIn(user, started % 4 === 0)
        .then((ms) => took.push(ms))
        .catch((error) => wrong.set(error.message, (wrong.get(error.message) ?? 0) + 1))
        .finally(() => {
          done++;
          idle.push(user);
        });
    }
  }, 5);
  const minutes = Number(values.minutes);
  while (performance.now() - began < minutes * 60_000) {
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    took.sort((a, b) => a - b);
    const at = (share) => took[Math.floor((took.length - 1) * share)] ?? 0;
    samples.push({
      minute: (performance.now() - began) / 60_000,
      rss_mb: rssOf(server.pid),
      files: readdirSync(`/proc/${server.pid}/fd`).length,
      logins_per_second: took.length / (EVERY / 1000),
      p50_ms: at(0.5),
      p99_ms: at(0.99),
      late,
    });
    [took, late] = [[], 0];
    if (!values.json && samples.length % 6 === 0) {
      const { minute, rss_mb, p99_ms } = samples.at(-1);
      console.error(`${minute.toFixed(1)} min: ${done} logins, ${rss_mb} MB, p99 ${p99_ms.toFixed(1)} ms`);
    }
  }
  clearInterval(timer);
  while (done + samples.reduce((sum, sample) => sum + sample.late, 0) < started && idle.length < PEOPLE)
    await new Promise((resolve) => setTimeout(resolve, 20));
  return samples;
}

function report(rate, samples) {
  const third = Math.ceil(samples.length / 3);
  const [early, late] = [samples.slice(third, 2 * third), samples.slice(-third)];
  const of = (list, name) => median(list.map((sample) => sample[name]));
  const names = ["rss_mb", "files", "p50_ms", "p99_ms"];
  const figure = {
    engine,
    minutes: Number(values.minutes),
    rate,
    logins: Math.round(samples.reduce((sum, { logins_per_second }) => sum + logins_per_second * (EVERY / 1000), 0)),
    late: samples.reduce((sum, sample) => sum + sample.late, 0),
    wrong: Object.fromEntries(wrong),
    // Medians of the second and of the last third: the first one still fills caches.
    second_third: Object.fromEntries(names.map((name) => [name, Number(of(early, name).toFixed(2))])),
    last_third: Object.fromEntries(names.map((name) => [name, Number(of(late, name).toFixed(2))])),
  };
  console.log(JSON.stringify(figure, null, 2));
  if (values.out) {
    mkdirSync(values.out, { recursive: true });
    writeFileSync(join(values.out, `soak-${engine}.json`), `${JSON.stringify(figure, null, 2)}\n`);
    const series = [
      ["memory", "MB", "rss_mb"],
      ["open files", "", "files"],
      ["p50 of a redemption", "ms", "p50_ms"],
      ["p99 of a redemption", "ms", "p99_ms"],
    ].map(([name, unit, field]) => ({ name, unit, points: samples.map((sample) => [sample.minute, sample[field]]) }));
    const title = `${rate} logins a second for ${values.minutes} minutes (${engine})`;
    writeFileSync(join(values.out, `soak-${engine}.svg`), plot({ title, axis: "minutes", series }));
  }
  if (wrong.size > 0) process.exitCode = 1;
}

function basic() {
  const { client_id, client_secret } = server.client;
  return { authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString("base64")}` };
}

async function expectStatus(status, asked) {
  const answer = await asked;
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.body.slice(0, 200)}`);
  return answer;
}

/** JSON on the account API, a form on `oauth/*`. */
function post(path, fields, headers = { authorization: `Bearer ${token}` }) {
  const form = path.startsWith("/oauth/");
  const body = fields === undefined ? "" : form ? new URLSearchParams(fields).toString() : JSON.stringify(fields);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        port: server.port,
        host: "127.0.0.1",
        agent,
        method: "POST",
        path: `/v1/accounts/${ACCOUNT}${path}`,
        headers: {
          ...headers,
          "content-length": Buffer.byteLength(body),
          ...(body ? { "content-type": form ? "application/x-www-form-urlencoded" : "application/json" } : {}),
        },
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode, body: text }));
        response.on("error", reject);
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}
