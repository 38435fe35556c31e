/**
 * A long run at half of what the server can do: codes are minted and redeemed, clients get tokens and have them
 * introspected, at a steady rate that does not wait for answers. Memory, open files, the rate and the latency of a
 * redemption are noted every few seconds.
 *
 * `--help` says what can be asked for. Ends with status 1 when an answer was wrong, or when memory, open files or latency
 * were not flat.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { optionsOf } from "../scripts/options.mjs";
import { rssOf } from "./cpu.mjs";
import { closeBench, median, requestFor, startServer, tokenOf } from "./harness.mjs";
import { plot } from "./plot.mjs";
import { openPool } from "./pool.mjs";
import { ACCOUNT, AUDIENCE, preparePeople } from "./prepare.mjs";
import { basic, post } from "./requests.mjs";

const USAGE = `npm run bench:soak -- [options]

  --engine name       sqlite, postgres or both; sqlite where nothing is said
  --minutes n         30 where nothing is said
  --rate n            logins a second; else half of what the same client gets out of the server,
                      of both at the same time with \`both\`
  --out folder        write the figures and their plot`;
const values = optionsOf(USAGE, {
  engine: ["sqlite", "postgres", "both"],
  minutes: "number",
  rate: "number",
  out: "text",
});
const { engine: asked = "sqlite", minutes = 30 } = values;
const PEOPLE = 2_000;
const CONNECTIONS = 64;
const EVERY = Math.min(10, minutes * 2) * 1_000;
const FULL = Math.min(8, minutes * 30) * 1_000;
const AT_ONCE = 32;
/** Tokens last longer than this. */
const RENEWAL = 30 * 60_000;

const engines = asked === "both" ? ["sqlite", "postgres"] : [asked];
const sides = [];
try {
  for (const engine of engines) sides.push(await openSide(engine));
  if (values.rate) for (const side of sides) side.rate = values.rate;
  else await measureFull();
  const ends = sides.map(startLogins);
  await note();
  for (const end of ends) await end();
  report();
} finally {
  for (const { renewal, pool, server } of sides) {
    clearInterval(renewal);
    pool.close();
    await server.stop();
  }
  await closeBench();
}

/** A server and those who log in to it. */
async function openSide(engine) {
  const server = await startServer(engine);
  const people = (await preparePeople(server, PEOPLE)).map(({ id }) => id);
  const pool = await openPool(Number(server.port), CONNECTIONS);
  const side = { engine, server, pool, token: server.token, idle: people, wrong: new Map(), samples: [], rate: 0 };
  side.renewal = setInterval(async () => {
    side.token = await tokenOf(server.port, server.tenant);
  }, RENEWAL);
  return Object.assign(side, { took: [], late: 0, logins: 0 });
}

/** One login: a code is minted and redeemed; every fourth also asks for a client's token and introspects it. */
async function logIn({ server, pool, token }, user_id, further) {
  const { port, tenant } = server;
  const ask = async (status, request, ...wanted) => {
    const answer = await pool.ask(request, ...wanted);
    if (answer.status !== status) throw new Error(`${answer.status}: ${answer.text}`);
    return answer.value;
  };
  const base = `/v1/accounts/${ACCOUNT}`;
  const bearer = { authorization: `Bearer ${token}` };
  const mint = { audience: AUDIENCE, client_id: "bench", user_id };
  const minting = post(port, `${base}/auth/passwordless/code`, bearer, { json: mint });
  const code = await ask(200, minting, '"verification_code":"', '"');
  const started = performance.now();
  await ask(302, requestFor(port, token, "token", code, ACCOUNT));
  const took = performance.now() - started;
  if (further) {
    const headers = { authorization: basic(tenant) };
    const credentials = { grant_type: "client_credentials", resource: AUDIENCE };
    const asking = post(port, `${base}/oauth/token`, headers, { form: credentials });
    const access_token = await ask(200, asking, '"access_token":"', '"');
    const introspecting = post(port, `${base}/oauth/introspect`, headers, { form: { token: access_token } });
    if ((await ask(200, introspecting, '"active":', ",")) !== "true") throw new Error("a fresh token is not active");
  }
  return took;
}

/** Twice: the first time warms everybody up. */
async function measureFull() {
  for (const _ of [1, 2]) {
    const end = performance.now() + FULL;
    const counts = sides.map(() => 0);
    await Promise.all(
      sides.flatMap((side, index) =>
        side.idle.slice(0, AT_ONCE).map(async (user) => {
          for (let n = 0; performance.now() < end; n++, counts[index]++) await logIn(side, user, n % 4 === 0);
        }),
      ),
    );
    for (const [index, side] of sides.entries()) {
      side.full = Math.round(counts[index] / (FULL / 1000));
      side.rate = Math.max(1, Math.round(side.full / 2));
    }
  }
  for (const { engine, full, rate } of sides)
    console.error(`${engine}: ${full} logins a second at most, ${rate} from now on`);
}

/** @returns how to end it: nobody new begins, and everybody under way finishes. */
function startLogins(side) {
  const began = performance.now();
  let started = 0;
  const timer = setInterval(() => {
    for (const due = ((performance.now() - began) / 1000) * side.rate; started < due; started++) {
      const user = side.idle.shift();
      // Everybody is busy: the server does not keep up, and that is noted, not hidden.
      if (user === undefined) {
        side.late++;
        continue;
      }
      logIn(side, user, started % 4 === 0)
        .then((ms) => side.took.push(ms))
        .catch(({ message }) => side.wrong.set(message, (side.wrong.get(message) ?? 0) + 1))
        .finally(() => side.idle.push(user));
    }
  }, 5);
  return async () => {
    clearInterval(timer);
    const patience = performance.now() + 30_000;
    while (side.idle.length < PEOPLE && performance.now() < patience)
      await new Promise((resolve) => setTimeout(resolve, 50));
    if (side.idle.length < PEOPLE) side.wrong.set("no answer", PEOPLE - side.idle.length);
  };
}

async function note() {
  const began = performance.now();
  while (performance.now() - began < minutes * 60_000) {
    const from = performance.now();
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    for (const side of sides) {
      const { took, late, server } = side;
      [side.took, side.late] = [[], 0];
      took.sort((a, b) => a - b);
      const at = (share) => took[Math.floor((took.length - 1) * share)] ?? 0;
      side.logins += took.length;
      side.samples.push({
        minute: (performance.now() - began) / 60_000,
        rss_mb: rssOf(server.pid),
        files: readdirSync(`/proc/${server.pid}/fd`).length,
        logins_per_second: took.length / ((performance.now() - from) / 1000),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        late,
      });
      if (side.samples.length % 6 !== 0) continue;
      const { minute, rss_mb, p99_ms } = side.samples.at(-1);
      console.error(
        `${minute.toFixed(1)} min, ${side.engine}: ${side.logins} logins, ${rss_mb} MB, p99 ${p99_ms.toFixed(1)} ms`,
      );
    }
  }
}

/** Medians of the second and of the last third: the first one still fills caches. */
function figureOf({ engine, full, rate, logins, samples, wrong }) {
  const third = Math.ceil(samples.length / 3);
  const names = ["logins_per_second", "rss_mb", "files", "p50_ms", "p99_ms"];
  const of = (list) =>
    Object.fromEntries(names.map((name) => [name, Number(median(list.map((sample) => sample[name])).toFixed(2))]));
  const [second, last] = [of(samples.slice(third, 2 * third)), of(samples.slice(-third))];
  const faults = [
    [wrong.size > 0, "answers were wrong"],
    [last.rss_mb > 1.1 * second.rss_mb + 5, "memory grew"],
    [last.files > second.files + 5, "open files grew"],
    [last.p99_ms > 1.5 * second.p99_ms + 5, "latency grew"],
  ].flatMap(([is, fault]) => (is ? [fault] : []));
  const late = samples.reduce((sum, sample) => sum + sample.late, 0);
  const thirds = { second_third: second, last_third: last };
  return { engine, minutes, full, rate, logins, late, wrong: Object.fromEntries(wrong), ...thirds, faults };
}

function report() {
  const figures = sides.map(figureOf);
  console.log(JSON.stringify(figures, null, 2));
  for (const { engine, faults } of figures) for (const fault of faults) console.error(`${engine}: ${fault}`);
  if (figures.some(({ faults }) => faults.length > 0)) process.exitCode = 1;
  if (!values.out) return;
  mkdirSync(values.out, { recursive: true });
  const panels = [
    ["memory", "MB", "rss_mb"],
    ["open files", "", "files"],
    ["logins a second", "", "logins_per_second"],
    ["p50 of a redemption", "ms", "p50_ms"],
    ["p99 of a redemption", "ms", "p99_ms"],
  ].map(([name, unit, field]) => ({
    ...{ name, unit },
    lines: sides.map(({ engine, samples }) => ({
      name: engine,
      points: samples.map((sample) => [sample.minute, sample[field]]),
    })),
  }));
  const title = `Logins for ${minutes} minutes at half of the full rate`;
  writeFileSync(join(values.out, "soak.json"), `${JSON.stringify(figures, null, 2)}\n`);
  writeFileSync(join(values.out, "soak.svg"), plot({ title, axis: "minutes", panels }));
}
