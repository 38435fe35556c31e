/**
 * What an attacker with a stopwatch would compare: whether somebody is known, how right a code is, whether there is a client. One
 * connection, one request at a time, on loopback: nobody sits nearer. `told-apart.mjs` says what counts as a difference.
 */
import { requestFor, startServer, tokenOf } from "./harness.mjs";
import { AUDIENCE, drawLogin, keepLogins, prepareClient, prepareTenant } from "./prepare.mjs";
import { basic, get, post } from "./requests.mjs";
import { clockRounds, PLANTED_US, tellApart } from "./told-apart.mjs";

const ACCOUNT = "T00000007";
/** Here the first wrong numeric code of a person closes theirs. */
const STRICT = "T00000006";
/** As many wrong guesses as settings allow: beyond that codes get longer, which is another measurement. */
const settings = { typable_guess_limit: 100_000, spray_guess_limit: 10_000 };
/** In a round each of these has its turn; all but `second` are of the first kind. */
const CONTENDERS = ["first", "second", "again", "planted"];
const WARM = 20;
const FEWEST = 100;
const numeric = { format: "numeric", length: 6 };

export async function measureTiming(engine, options) {
  const tenants = {};
  const server = await startServer(engine, {}, async (_, core) => {
    tenants.usual = await prepareTenant(core, ACCOUNT, settings);
    tenants.strict = await prepareTenant(core, STRICT, { ...settings, numeric_guess_limit: 1 });
    tenants.other = { ...tenants.usual, client: await prepareClient(core, tenants.usual, "other") };
  });
  try {
    for (const tenant of Object.values(tenants)) tenant.token = await tokenOf(server.port, tenant);
    const figures = [];
    for (const one of casesOf(server, tenants)) figures.push(await measureCase(server, one, options));
    return figures;
  } finally {
    await server.stop();
  }
}

/**
 * Of each case, what is compared: how somebody of the first and of the second kind is drawn, whether the database knows
 * them and their code, and the step that is clocked.
 */
function casesOf(server, { usual, strict, other }) {
  const { port } = server;
  const about = { connection: "email", client_id: usual.client_id, audience: AUDIENCE };
  const send = ({ email }) =>
    post(port, `/v1/accounts/${ACCOUNT}/auth/passwordless`, bearer(usual), { json: { ...about, email } });
  const sent = (login) => ({ timed: send(login), status: 204 });
  const behind = (login) => ({
    lead: { request: send(login), status: 204 },
    timed: get(port, "/healthz"),
    status: 200,
  });
  const authorize = ({ token, account_id }, code, further) => ({
    timed: requestFor(port, token, "token", code, account_id, further),
    status: 400,
  });
  const alone = ({ code }) => authorize(usual, code);
  const guess =
    (wrong, tenant = usual) =>
    (login) =>
      authorize(tenant, wrong(login.code), { ident_type: "email", ident: login.email });
  const client_secret = usual.client_secret.replaceAll(/./g, "x");
  const identify = (client_id) => ({
    timed: post(
      port,
      `/v1/accounts/${ACCOUNT}/oauth/token`,
      { authorization: basic({ client_id, client_secret }) },
      { form: { grant_type: "client_credentials", resource: AUDIENCE } },
    ),
    status: 401,
  });
  const kind = (step, shape, { client } = usual) => ({
    draw: () => drawLogin(server, client, shape),
    kept: true,
    step,
  });
  const nobody = (step) => ({ ...kind(step), kept: false });
  const unknown = { ...numeric, known: false };
  return [
    { what: "send: known, unknown person", first: kind(sent), second: nobody(sent) },
    { what: "the request behind a send: known, unknown person", first: kind(behind), second: nobody(behind) },
    {
      what: "wrong numeric code: known, unknown person",
      first: kind(guess(noDigit), numeric),
      second: kind(guess(noDigit), unknown),
    },
    {
      what: "the wrong numeric code that closes: known, unknown person",
      first: kind(guess(noDigit, strict), numeric, strict),
      second: kind(guess(noDigit, strict), unknown, strict),
    },
    {
      what: "wrong numeric code: five of six digits right, none",
      first: kind(guess(lastDigit), numeric),
      second: kind(guess(noDigit), numeric),
    },
    { what: "wrong typable code: another client's, nobody's", first: kind(alone, {}, other), second: nobody(alone) },
    {
      what: "wrong typable code: expired (the answer says so), nobody's",
      first: kind(alone, { lifetime: -60_000 }),
      second: nobody(alone),
    },
    {
      what: "wrong secret: a client (its id is public), none",
      first: { draw: () => usual.client_id, kept: false, step: identify },
      second: { draw: () => "bunch", kept: false, step: identify },
    },
  ];
}

const bearer = ({ token }) => ({ authorization: `Bearer ${token}` });
const shifted = (digit) => String((Number(digit) + 5) % 10);
const noDigit = (code) => code.replaceAll(/\d/g, shifted);
const lastDigit = (code) => code.replace(/\d$/, shifted);

async function measureCase(server, { what, ...kinds }, { requests, seconds, rounds }) {
  const { seconds: warm } = await clocked(server, kinds, WARM);
  const fitting = Math.floor((seconds * rounds * WARM) / 4 / warm);
  const count = Math.max(FEWEST, Math.min(Math.floor(requests / 2), fitting));
  const { taken } = await clocked(server, kinds, count);
  return figureOf(server, what, tellApart(taken), count);
}

async function clocked(server, kinds, count) {
  const steps = await prepare(server, kinds, count);
  const started = performance.now();
  const taken = await clockRounds(server.port, steps);
  return { taken, seconds: (performance.now() - started) / 1000 };
}

async function prepare(server, kinds, count) {
  const steps = {};
  for (const name of CONTENDERS) {
    const { draw, kept, step } = kinds[name] ?? kinds.first;
    const drawn = Array.from({ length: count }, draw);
    if (kept) await keepLogins(server, drawn);
    steps[name] = drawn.map(step);
  }
  return steps;
}

/** Differences are the second kind's less the first's, in microseconds, with what holds 99.9 % of chance. */
function figureOf({ engine }, what, told, rounds) {
  const { median_us, second, again, planted, told_apart, detected } = told;
  const shown = ({ us, within_us }) => `${us.toFixed(0)} ± ${within_us.toFixed(0)}`;
  return {
    ...{ suite: "timing", engine, what, rounds, median_us: Math.round(median_us) },
    median_difference_us: shown(second.median),
    percent: Number(((second.median.us / median_us) * 100).toFixed(1)),
    low_difference_us: shown(second.low),
    same_median_us: shown(again.median),
    same_low_us: shown(again.low),
    [`planted_${PLANTED_US}_median_us`]: shown(planted.median),
    [`planted_${PLANTED_US}_low_us`]: shown(planted.low),
    detected,
    told_apart,
  };
}
