/**
 * Durable authorizations: every answer a 302 with a signed token; bearer, limits, log line and audit event included.
 * Beside them in the same rounds: what bounds them (HTTP alone, HTTP with the signature, the bare statement), and
 * better-auth's code → session. Then the latency at 70 % of the full rate, beside that of the signature alone at 70 % of
 * its own, and how long the event loop of the server kept anybody waiting.
 */
import { figureOf, fitting, rateOf, ratioOf, takeTurns } from "../figures.mjs";
import { load, measure, median, requestsFor, startCeiling, startServer, withDatabase } from "../harness.mjs";
import { startPeer } from "../peers.mjs";
import { prepareCodes } from "../prepare.mjs";
import { measureStatement } from "../statement.mjs";

const cases = [
  { response_type: "token", alg: "ES256" },
  { response_type: "authenticate", alg: "RS256" },
];
/** Of better-auth's logins, which are dear, a share is enough. */
const SHARE = 8;
const PART = 0.7;
/** Milliseconds between two looks of the server's own probe, which are a part of what it reports. */
const PROBE = 10;

export async function measureAuthorize(engine, options) {
  const people = Math.min(1_000, Math.ceil(options.requests / SHARE));
  const server = await startServer(engine);
  const peer = options.peers ? await startBetterAuth(engine, people) : undefined;
  const bare = await startCeiling("none");
  const gathered = await startCeiling("ES256", "gather");
  try {
    const figures = [];
    for (const one of cases) {
      const others = one.alg === "ES256" ? { bare, gathered, peer, people } : {};
      figures.push(...(await measureCase(server, one, others, options)));
    }
    return figures;
  } finally {
    await bare.stop();
    await gathered.stop();
    await peer?.stop();
    await server.stop();
  }
}

async function startBetterAuth(engine, people) {
  const env = { DATABASE_URL: await withDatabase(engine, "peer"), PEOPLE: String(people) };
  return { ...(await startPeer("better-auth", env)), engine };
}

async function measureCase(server, { response_type, alg }, { bare, gathered, peer, people }, options) {
  const { engine, port, token } = server;
  const ceiling = await startCeiling(alg);
  const batchOf = async (count) => requestsFor(port, token, response_type, await prepareCodes(server, count));
  const counts = {
    latchkey: fitting(options, await load(port, await batchOf(options.warm_up))),
    signature: fitting(options, await load(ceiling.port, dummies(server, response_type), { repeat: options.warm_up })),
  };
  const contenders = {
    latchkey: async () => measure(server, await batchOf(counts.latchkey)),
    signature: () => measure(ceiling, dummies(server, response_type), { repeat: counts.signature }),
  };
  if (bare) {
    const http = fitting(options, await load(bare.port, dummies(server, response_type), { repeat: options.warm_up }));
    contenders.gathered = () => measure(gathered, dummies(server, response_type), { repeat: counts.signature });
    contenders.http = () => measure(bare, dummies(server, response_type), { repeat: http });
    contenders.statement = async () => measureStatement(server, await prepareCodes(server, counts.latchkey));
  }
  if (peer) {
    const logins = async (count) => measure(peer, await loginsOf(peer, count), { expected: 200 });
    const warm = await logins(Math.min(people, 100));
    contenders.better_auth = () => logins(fitting({ ...options, requests: people }, warm));
  }
  await lagOf(server);
  const samples = await takeTurns(options.rounds, contenders);
  const full_lag = await lagOf(server);
  const { latchkey, ...others } = samples;
  const beside = Object.fromEntries(Object.entries(others).filter(([, [first]]) => first !== undefined));
  const suffix = alg === "ES256" ? "" : "_rs256";
  const ratios = { [`authorize_${engine}_to_ceiling${suffix}`]: ratioOf(latchkey, samples.signature) };
  for (const name of ["gathered", "http", "statement", "better_auth"])
    if (beside[name]) ratios[`authorize_${engine}_to_${name}`] = ratioOf(latchkey, samples[name]);
  const what = `${response_type} ${alg}`;
  const figure = {
    ...figureOf({ suite: "authorize", server, what, samples: latchkey, beside, ratios }),
    loop_ms: full_lag,
  };
  const steady = {
    latchkey: (rate, count) => batchOf(count).then((batch) => measure(server, batch, { rate, connections: 128 })),
    signature: (rate, repeat) => measure(ceiling, dummies(server, response_type), { repeat, rate, connections: 128 }),
  };
  const part = await measurePart(server, what, steady, samples, options);
  await ceiling.stop();
  return [figure, part];
}

/**
 * Requests begin at a steady rate, 70 % of each contender's `full` one, whether or not earlier ones were answered.
 * `start_ms` is the p99 of what was due before that was steady; `signature_p99_ms` what a server without a store shows
 * in the same rounds, on the same machine.
 */
async function measurePart(server, what, contenders, full, { requests, seconds, rounds }) {
  const turns = Object.entries(contenders).map(([name, measureAt]) => {
    const rate = Math.round(rateOf(full[name]) * PART);
    return [name, () => measureAt(rate, Math.min(requests, rate * seconds))];
  });
  await lagOf(server);
  const samples = await takeTurns(Math.ceil(rounds / 2), Object.fromEntries(turns));
  const figure = figureOf({ suite: "authorize", server, what: `${what} at 70 % of that`, samples: samples.latchkey });
  return {
    ...figure,
    signature_p99_ms: median(samples.signature.map(({ p99 }) => p99)),
    start_ms: median(samples.latchkey.map(({ start_p99 }) => start_p99)),
    loop_ms: await lagOf(server),
  };
}

/** The server's own figure since it was last asked: the 99th percentile of what the event loop was late, in milliseconds. */
async function lagOf({ port }) {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const [, seconds] = /^nodejs_eventloop_lag_p99_seconds ([\d.e-]+)/m.exec(text) ?? [];
  return Math.max(0, Number((Number(seconds) * 1000 - PROBE).toFixed(1)));
}

/** Ceilings know no codes. */
const dummies = ({ port, token }, response_type) => requestsFor(port, token, response_type, ["7KQM4-X2PVD"]);

/** Requests that log somebody in each, with codes that were made a moment ago. */
async function loginsOf({ port }, count) {
  const codes = await (await fetch(`http://127.0.0.1:${port}/code?n=${count}`)).json();
  return codes.map(([email, otp]) => {
    const body = JSON.stringify({ email, otp });
    return `POST /api/auth/sign-in/email-otp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  });
}
