/**
 * The standard surface: client_credentials and introspection beside oidc-provider in the same rounds, and the code flow of somebody who
 * is logged in (authorize, then token). Latchkey writes its audit trail durably at each; oidc-provider keeps everything in memory.
 *
 * Usage: node bench/standard.mjs [--requests 4000] [--rounds 3] [--engine sqlite|postgres] [--json]
 */
import { closeBench, load, median, startServer } from "./harness.mjs";
import { preparePeers, startPeer } from "./peers.mjs";
import { ACCOUNT, AUDIENCE, CALLBACK, prepareSession } from "./prepare.mjs";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const requests = Number(option("requests", 4_000));
const rounds = Number(option("rounds", 3));
const engines = option("engine") ? [option("engine")] : ["sqlite", "postgres"];
const json = process.argv.includes("--json");
const results = [];
const expected = { expected: "200" };

preparePeers();
try {
  for (const engine of engines) results.push(...(await measure(engine)));
} finally {
  await closeBench();
}
if (json) console.log(JSON.stringify(results, null, 2));

async function measure(engine) {
  const server = await startServer(engine);
  const peer = await startPeer("oidc-provider");
  try {
    const ours = `/v1/accounts/${ACCOUNT}/oauth`;
    const mine = basic(server.client);
    const theirs = basic({ client_id: "bench", client_secret: "a-secret-of-this-measurement-and-no-other" });
    const credentials = new URLSearchParams({ grant_type: "client_credentials", resource: AUDIENCE }).toString();
    const figures = [];
    figures.push(
      await compare(engine, "client_credentials", {
        latchkey: [server.port, form(server.port, `${ours}/token`, mine, credentials)],
        oidc_provider: [peer.port, form(peer.port, "/token", theirs, credentials)],
      }),
    );
    const token = await ask(server.port, `${ours}/token`, mine, credentials);
    const opaque = credentials.replace("api.shop", "opaque.shop");
    const other = await ask(peer.port, "/token", theirs, opaque);
    figures.push(
      await compare(engine, "introspection", {
        latchkey: [server.port, form(server.port, `${ours}/introspect`, mine, `token=${token}`)],
        oidc_provider: [peer.port, form(peer.port, "/token/introspection", theirs, `token=${other}`)],
      }),
    );
    figures.push(await codeFlow(engine, server, mine));
    return figures;
  } finally {
    await peer.stop();
    await server.stop();
  }
}

/** One request, again and again, at each server in turn. */
async function compare(engine, what, servers) {
  const samples = Object.fromEntries(Object.keys(servers).map((name) => [name, []]));
  const batch = (request) => Array.from({ length: requests }, () => request);
  for (const [port, request] of Object.values(servers)) await load(port, batch(request).slice(0, 500), expected);
  for (let round = 0; round < rounds; round++) {
    for (const [name, [port, request]] of Object.entries(servers)) {
      const { ok, seconds } = await load(port, batch(request), expected);
      samples[name].push(ok / seconds);
    }
  }
  const [latchkey, oidc_provider] = [median(samples.latchkey), median(samples.oidc_provider)];
  const ratio = Number((latchkey / oidc_provider).toFixed(2));
  const figure = { engine, what, latchkey: Math.round(latchkey), oidc_provider: Math.round(oidc_provider), ratio };
  if (!json)
    console.log(
      `${engine.padEnd(8)} ${what.padEnd(20)} ${figure.latchkey}/s, oidc-provider ${figure.oidc_provider}/s: ${ratio} times`,
    );
  return figure;
}

/** Authorize with a live session, then token: one after the other, as a browser and its client do it. */
async function codeFlow(engine, { config, port }, authorization) {
  const { cookie } = await prepareSession(config);
  const query = new URLSearchParams({
    client_id: "bench",
    redirect_uri: CALLBACK,
    response_type: "code",
    scope: "openid",
    state: "s",
  });
  const ask = `GET /v1/accounts/${ACCOUNT}/oauth/authorize?${query} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${cookie}\r\n\r\n`;
  const redeem = (code) => {
    const body = new URLSearchParams({ grant_type: "authorization_code", code, redirect_uri: CALLBACK }).toString();
    return form(port, `/v1/accounts/${ACCOUNT}/oauth/token`, authorization, body);
  };
  const flows = [];
  for (let round = 0; round < rounds; round++) {
    const asked = await load(port, Array(requests).fill(ask), { expected: "303", collect: "location" });
    const codes = asked.collected.map((location) => new URL(location).searchParams.get("code"));
    const redeemed = await load(port, codes.map(redeem), expected);
    flows.push(requests / (asked.seconds + redeemed.seconds));
  }
  const figure = { engine, what: "code_flow", latchkey: Math.round(median(flows)) };
  if (!json) console.log(`${engine.padEnd(8)} ${"code flow".padEnd(20)} ${figure.latchkey}/s (authorize and token)`);
  return figure;
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
