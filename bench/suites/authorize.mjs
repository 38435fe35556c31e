/**
 * Durable authorizations: every answer a 302 with a signed token; bearer, limits, log line and audit event included. Beside them in the
 * same rounds: the ceiling (the same HTTP layer and signature, nothing else), and better-auth's code → session.
 */
import { load, median, requestsFor, rssOf, startCeiling, startServer, withDatabase } from "../harness.mjs";
import { startPeer } from "../peers.mjs";
import { prepareCodes } from "../prepare.mjs";

const cases = [
  { response_type: "token", alg: "ES256" },
  { response_type: "authenticate", alg: "RS256" },
];

/** Of better-auth's logins, which are dear, a share is enough. */
const SHARE = 8;

export async function measureAuthorize(engine, { requests, rounds }) {
  const server = await startServer(engine);
  const peer = await startPeer("better-auth", { DATABASE_URL: await withDatabase(engine, "peer"), PEOPLE: "1000" });
  const figures = [];
  try {
    for (const one of cases) figures.push(await measureCase(engine, server, peer, one, { requests, rounds }));
    return figures;
  } finally {
    await peer.stop();
    await server.stop();
  }
}

async function measureCase(engine, { config, port, token, pid }, peer, { response_type, alg }, { requests, rounds }) {
  const ceiling = await startCeiling(alg);
  const samples = { latchkey: [], ceiling: [], better_auth: [] };
  const batchOf = async (count) => requestsFor(port, token, response_type, await prepareCodes(config, count));
  const others = Math.min(1_000, Math.ceil(requests / SHARE));
  await load(port, await batchOf(500));
  await load(peer.port, await logins(peer, 100), { expected: "200" });
  for (let round = 0; round < rounds; round++) {
    const batch = await batchOf(requests);
    samples.ceiling.push(await load(ceiling.port, batch));
    samples.latchkey.push(await load(port, batch));
    if (alg === "ES256")
      samples.better_auth.push(await load(peer.port, await logins(peer, others), { expected: "200" }));
  }
  ceiling.process.kill("SIGTERM");
  const rate = (list) => median(list.map(({ ok, seconds }) => ok / seconds));
  const [ours, most] = [rate(samples.latchkey), rate(samples.ceiling)];
  const figure = {
    suite: "authorize",
    engine,
    what: `${response_type} ${alg}`,
    per_second: Math.round(ours),
    p50_ms: median(samples.latchkey.map(({ p50 }) => p50)),
    p99_ms: median(samples.latchkey.map(({ p99 }) => p99)),
    rss_mb: rssOf(pid),
    beside: { ceiling: Math.round(most) },
    ratios: { [`authorize_${engine}_to_ceiling${alg === "ES256" ? "" : "_rs256"}`]: ours / most },
  };
  if (samples.better_auth.length > 0) {
    const theirs = rate(samples.better_auth);
    figure.beside.better_auth = Math.round(theirs);
    figure.ratios[`authorize_${engine}_to_better_auth`] = ours / theirs;
  }
  return figure;
}

/** Requests that log somebody in each, with codes that were sent a moment ago. */
async function logins({ port }, count) {
  const codes = await (await fetch(`http://127.0.0.1:${port}/code?n=${count}`)).json();
  return codes.map(([email, otp]) => {
    const body = JSON.stringify({ email, otp });
    return `POST /api/auth/sign-in/email-otp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  });
}
