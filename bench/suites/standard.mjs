/**
 * The standard surface: client_credentials and introspection beside oidc-provider in the same rounds, and the code flow of somebody who
 * is logged in (authorize, then token). Latchkey records each token durably; oidc-provider keeps everything in memory.
 */
import { load, median, startServer } from "../harness.mjs";
import { startPeer } from "../peers.mjs";
import { ACCOUNT, AUDIENCE, CALLBACK, prepareSession } from "../prepare.mjs";

const OURS = `/v1/accounts/${ACCOUNT}/oauth`;
const THEIRS = { client_id: "bench", client_secret: "a-secret-of-this-measurement-and-no-other" };
const good = { expected: "200" };

export async function measureStandard(engine, { requests, rounds }) {
  const server = await startServer(engine);
  const peer = await startPeer("oidc-provider");
  try {
    const [mine, theirs] = [basic(server.client), basic(THEIRS)];
    const credentials = new URLSearchParams({ grant_type: "client_credentials", resource: AUDIENCE }).toString();
    const tokens = await compare(engine, "client_credentials", { requests, rounds }, [
      [server.port, form(server.port, `${OURS}/token`, mine, credentials)],
      [peer.port, form(peer.port, "/token", theirs, credentials)],
    ]);
    const token = await ask(server.port, `${OURS}/token`, mine, credentials);
    const other = await ask(peer.port, "/token", theirs, credentials.replace("api.shop", "opaque.shop"));
    const introspection = await compare(engine, "introspection", { requests, rounds }, [
      [server.port, form(server.port, `${OURS}/introspect`, mine, `token=${token}`)],
      [peer.port, form(peer.port, "/token/introspection", theirs, `token=${other}`)],
    ]);
    return [tokens, introspection, await codeFlow(engine, server, mine, { requests, rounds })];
  } finally {
    await peer.stop();
    await server.stop();
  }
}

/** One request, again and again, at both servers in turn. */
async function compare(engine, what, { requests, rounds }, [ours, theirs]) {
  const batch = (request, count = requests) => Array.from({ length: count }, () => request);
  for (const [port, request] of [ours, theirs]) await load(port, batch(request, 1_000), good);
  const samples = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const [index, [port, request]] of [ours, theirs].entries())
      samples[index].push(await load(port, batch(request), good));
  }
  const [latchkey, oidc_provider] = samples.map((list) => median(list.map(({ ok, seconds }) => ok / seconds)));
  const suffix = engine === "sqlite" ? "" : `_${engine}`;
  return {
    suite: "standard",
    engine,
    what,
    per_second: Math.round(latchkey),
    p50_ms: median(samples[0].map(({ p50 }) => p50)),
    p99_ms: median(samples[0].map(({ p99 }) => p99)),
    beside: { oidc_provider: Math.round(oidc_provider) },
    ratios: { [`${what}_to_oidc_provider${suffix}`]: latchkey / oidc_provider },
  };
}

/** Authorize with a live session, then token: one after the other, as a browser and its client do it. */
async function codeFlow(engine, { config, port }, authorization, { requests, rounds }) {
  const { cookie } = await prepareSession(config);
  const about = { client_id: "bench", redirect_uri: CALLBACK, response_type: "code", scope: "openid", state: "s" };
  const query = new URLSearchParams(about);
  const authorize = `GET ${OURS}/authorize?${query} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${cookie}\r\n\r\n`;
  const redeem = (code) => {
    const body = new URLSearchParams({ grant_type: "authorization_code", code, redirect_uri: CALLBACK }).toString();
    return form(port, `${OURS}/token`, authorization, body);
  };
  const flows = [];
  for (let round = 0; round < rounds; round++) {
    const asked = await load(port, Array(requests).fill(authorize), { expected: "303", collect: "location" });
    const codes = asked.collected.map((location) => new URL(location).searchParams.get("code"));
    const redeemed = await load(port, codes.map(redeem), good);
    flows.push(requests / (asked.seconds + redeemed.seconds));
  }
  return {
    suite: "standard",
    engine,
    what: "code flow",
    per_second: Math.round(median(flows)),
    beside: {},
    ratios: {},
  };
}

function basic({ client_id, client_secret }) {
  return `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString("base64")}`;
}

function form(port, path, authorization, body) {
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: ${authorization}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

async function ask(port, path, authorization, body) {
  const headers = { authorization, "content-type": "application/x-www-form-urlencoded" };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", headers, body });
  return (await response.json()).access_token;
}
