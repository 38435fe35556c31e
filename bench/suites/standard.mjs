/**
 * The standard surface: client_credentials (ES256, and RS256 beside its ceiling), introspection, the code flow of
 * somebody who is logged in, refresh, and the hosted login from the first page to the redirect. oidc-provider stands
 * beside what it does without pages. Latchkey records each token durably; oidc-provider keeps everything in memory.
 */
import { figureOf, fitting, ratioOf, suffixOf, takeTurns } from "../figures.mjs";
import { load, measure, startCeiling, startServer } from "../harness.mjs";
import { startPeer } from "../peers.mjs";
import { ACCOUNT, AUDIENCE, CALLBACK, preparePeople, prepareSession, prepareTenant } from "../prepare.mjs";
import { basic, chained, get, post } from "../requests.mjs";

const RS256 = "T00000008";
const OURS = `/v1/accounts/${ACCOUNT}/oauth`;
const THEIRS = { client_id: "bench", client_secret: "a-secret-of-this-measurement-and-no-other" };
const suite = "standard";
const good = { expected: 200 };
const credentials = { grant_type: "client_credentials", resource: AUDIENCE };

export async function measureStandard(engine, options) {
  let rs256;
  const server = await startServer(engine, { TRUSTED_PROXIES: "127.0.0.1/32" }, async (_, core) => {
    rs256 = await prepareTenant(core, RS256, { signing_alg: "RS256" });
  });
  const peer = options.peers ? await startPeer("oidc-provider") : undefined;
  const ceiling = await startCeiling("RS256");
  try {
    const { port } = server;
    const form = (path, fields, client = server.tenant) =>
      post(port, path, { authorization: basic(client) }, { form: fields });
    const theirs = (path, fields) => post(peer.port, path, { authorization: basic(THEIRS) }, { form: fields });
    const atPeer = (path, fields) => (peer ? [peer, theirs(path, fields)] : undefined);
    const tokens = await compare(
      { server, what: "client_credentials", name: "oidc_provider", options },
      [server, form(`${OURS}/token`, credentials)],
      atPeer("/token", credentials),
    );
    const rsa = form(`/v1/accounts/${RS256}/oauth/token`, credentials, rs256);
    const signed = await compare(
      { server, what: "client_credentials RS256", name: "ceiling", options },
      [server, rsa],
      [ceiling, rsa],
    );
    const token = await tokenFrom(port, form(`${OURS}/token`, credentials));
    const opaque = { ...credentials, resource: "https://opaque.shop.example" };
    const other = peer && (await tokenFrom(peer.port, theirs("/token", opaque)));
    const introspection = await compare(
      { server, what: "introspection", name: "oidc_provider", options },
      [server, form(`${OURS}/introspect`, { token })],
      atPeer("/token/introspection", { token: other }),
    );
    // Of flows of several requests, which are dear, a share is enough.
    const few = { ...options, requests: Math.ceil(options.requests / 4), seconds: options.seconds / 2 };
    return [tokens, signed, introspection, ...(await codeFlow(server, few)), await hostedLogin(server, few)];
  } finally {
    await ceiling.stop();
    await peer?.stop();
    await server.stop();
  }
}

/** One request, again and again, at both servers in turn; at ours alone where there is no other. */
async function compare({ server, what, name, options }, ours, theirs) {
  const contenderOf = async ([target, request]) => {
    const repeat = fitting(options, await load(target.port, [request], { ...good, repeat: options.warm_up }));
    return () => measure(target, [request], { ...good, repeat });
  };
  const other = theirs ? { [name]: await contenderOf(theirs) } : {};
  const samples = await takeTurns(options.rounds, { latchkey: await contenderOf(ours), ...other });
  if (!theirs) return figureOf({ suite, server, what, samples: samples.latchkey });
  const ratio = `${what.replace(" RS256", "_rs256")}_to_${name}${suffixOf(server.engine)}`;
  return figureOf({
    ...{ suite, server, what, samples: samples.latchkey },
    beside: { [name]: samples[name] },
    ratios: { [ratio]: ratioOf(samples.latchkey, samples[name]) },
  });
}

async function tokenFrom(port, request) {
  const { collected } = await load(port, [request], { ...good, collect: [['"access_token":"', '"']] });
  return collected[0][0];
}

/** How many logins a browser's session leads to: of a session with very many the oldest end for further ones. */
const LOGINS_A_SESSION = 500;

/** Authorize with a live session, then token; then each refresh token once. */
async function codeFlow(server, options) {
  const { port, tenant } = server;
  const about = { client_id: "bench", redirect_uri: CALLBACK, response_type: "code", scope: "openid", state: "s" };
  const address = `${OURS}/authorize?${new URLSearchParams(about)}`;
  const token = (fields) => post(port, `${OURS}/token`, { authorization: basic(tenant) }, { form: fields });
  const redeem = (code) => token({ grant_type: "authorization_code", code, redirect_uri: CALLBACK });
  const refresh = (refresh_token) => token({ grant_type: "refresh_token", refresh_token });
  const run = async (wanted) => {
    const authorizes = [];
    while (authorizes.length * LOGINS_A_SESSION < wanted) {
      const { cookie } = await prepareSession(server);
      authorizes.push(get(port, address, { cookie }));
    }
    const repeat = Math.ceil(wanted / authorizes.length);
    const count = repeat * authorizes.length;
    const asked = await measure(server, authorizes, { expected: 303, repeat, collect: [["code=", "&"]] });
    const redeeming = { ...good, collect: [['"refresh_token":"', '"']] };
    const codes = asked.collected.map(([code]) => redeem(code));
    const redeemed = await measure(server, codes, redeeming);
    const tokens = redeemed.collected.map(([refresh_token]) => refresh(refresh_token));
    return { flow: chained(count, [asked, redeemed]), refreshed: await measure(server, tokens, good) };
  };
  const warm = Math.min(200, options.warm_up);
  const count = fitting(options, pace(await run(warm), warm));
  const { both } = await takeTurns(options.rounds, { both: () => run(count) });
  return [
    figureOf({ suite, server, what: "code flow (2 requests)", samples: both.map(({ flow }) => flow) }),
    figureOf({ suite, server, what: "refresh", samples: both.map(({ refreshed }) => refreshed) }),
  ];
}

/** What a warm-up of whole flows shows. */
const pace = ({ flow }, ok) => ({ ok, seconds: ok / flow.per_second });

/** As browsers do it: authorize, the page, the address, the page, the code, the redirect. Reading the message is not counted. */
async function hostedLogin(server, options) {
  const { port, token } = server;
  const about = { client_id: "bench", redirect_uri: CALLBACK, response_type: "code", scope: "openid", state: "s" };
  const address = `${OURS}/authorize?${new URLSearchParams(about)}`;
  const login = `/v1/accounts/${ACCOUNT}/login?request=`;
  const run = async (count) => {
    const people = await preparePeople(server, count);
    const each = (requestOf, options) => measure(server, people.map(requestOf), options);
    // Each person sits somewhere else: what comes from one place is limited.
    const from = (n) => ({ accept: "text/html", "x-forwarded-for": `10.0.${n >> 8}.${n & 255}` });
    const begun = await each((_, n) => get(port, address, from(n)), { expected: 303, collect: [["request=", "\r\n"]] });
    const page = (n) => `${login}${begun.collected[n][0]}`;
    const shown = await each((_, n) => get(port, page(n), from(n)), {
      ...good,
      collect: [["set-cookie: ", ";"]],
    });
    const browser = (n) => ({ ...from(n), cookie: shown.collected[n][0] });
    const act = (n, fields) => post(port, page(n), browser(n), { form: fields });
    const identified = await each(({ email }, n) => act(n, { action: "identify", identifier: email }), {
      expected: 303,
    });
    const asked = await each((_, n) => get(port, page(n), browser(n)), good);
    const inbox = `/v1/accounts/${ACCOUNT}/sandbox/messages?to=`;
    const read = people.map(({ email }) => get(port, `${inbox}${email}`, { authorization: `Bearer ${token}` }));
    const { collected } = await load(port, read, { ...good, collect: [['"verification_code":"', '"']] });
    const entered = await each((_, n) => act(n, { action: "code", code: collected[n][0] }), {
      expected: 303,
      collect: [["set-cookie: ", ";"]],
    });
    const back = (n) => ({ ...from(n), cookie: entered.collected[n][0] });
    const done = await each((_, n) => get(port, page(n), back(n)), { expected: 303, collect: [["code=", "&"]] });
    if (done.collected.some(([code]) => !code)) throw new Error("a hosted login ended without a code");
    return chained(count, [begun, shown, identified, asked, entered, done]);
  };
  const warm = Math.min(100, options.warm_up);
  const count = fitting(options, pace({ flow: await run(warm) }, warm));
  const { samples } = await takeTurns(options.rounds, { samples: () => run(count) });
  return figureOf({ suite, server, what: "hosted login (6 requests)", samples });
}
