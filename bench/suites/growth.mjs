/**
 * What a request costs as the database grows: the same authorizations in the same rounds at servers whose databases
 * hold few and many codes, people and accounts, for many accounts and clients in turn. Also how long each takes to
 * start, and its memory.
 */
import { figureOf, fitting, ratioOf, suffixOf, takeTurns } from "../figures.mjs";
import { fill } from "../fill.mjs";
import { load, measure, requestFor, startServer, tokenOf } from "../harness.mjs";
import { prepareCodes, prepareTenant } from "../prepare.mjs";

const SMALL = 1_000;

export async function measureGrowth(engine, options) {
  const { growth } = options;
  const servers = [];
  try {
    for (const codes of [...new Set([SMALL, Math.min(100_000, growth), growth])])
      servers.push(await startGrown(engine, codes));
    const contenders = {};
    for (const server of servers) {
      const count = fitting(options, await load(server.port, await batchOf(server, options.warm_up)));
      contenders[server.codes] = async () => measure(server, await batchOf(server, count));
    }
    const samples = await takeTurns(options.rounds, contenders);
    return servers.map((server) => {
      const { codes, people, accounts, started_ms } = server;
      const own = samples[codes];
      // Cost, not rate: 1.1 means that a request takes a tenth longer.
      const cost = ratioOf(samples[SMALL], own);
      const name = `authorize_growth${codes === growth ? "" : `_${codes}`}${suffixOf(engine)}`;
      const number = (value) => value.toLocaleString("en");
      const what = `token ES256 with ${number(codes)} codes, ${number(people)} people, ${number(accounts)} accounts`;
      const figure = figureOf({ suite: "growth", server, what, samples: own, ratios: { [name]: cost } });
      return { ...figure, codes, started_ms };
    });
  } finally {
    for (const server of servers) await server.stop();
  }
}

async function startGrown(engine, codes) {
  const size = { codes, people: Math.ceil(codes / 10), accounts: codes === SMALL ? 10 : Math.min(100_000, codes / 10) };
  const tenants = [];
  const server = await startServer(engine, {}, async (config, core) => {
    for (let n = 0; n < Math.min(100, size.accounts); n++)
      tenants.push(await prepareTenant(core, `T${10_000_000 + n}`));
    const accounts = size.accounts - tenants.length;
    await fill(config, tenants, { codes, users: size.people, accounts });
  });
  const tokens = [];
  for (const tenant of tenants) tokens.push(await tokenOf(server.port, tenant));
  return { ...server, ...size, tenants, tokens };
}

/** Each request is for the next tenant. */
async function batchOf(server, count) {
  const { port, tenants, tokens } = server;
  const codes = await prepareCodes(server, count, tenants);
  return codes.map((code, n) => {
    const turn = n % tenants.length;
    return requestFor(port, tokens[turn], "token", code, tenants[turn].account_id);
  });
}
