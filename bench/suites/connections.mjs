/** How authorizations a second follow the number of connections: what a batch and a shared commit bring. */
import { figureOf, fitting, ratioOf, suffixOf, takeTurns } from "../figures.mjs";
import { load, measure, requestsFor, startServer } from "../harness.mjs";
import { prepareCodes } from "../prepare.mjs";

const COUNTS = [1, 8, 32, 128];

export async function measureConnections(engine, options) {
  const server = await startServer(engine);
  const { port, token } = server;
  const batchOf = async (count) => requestsFor(port, token, "token", await prepareCodes(server, count));

  try {
    await load(port, await batchOf(options.warm_up));
    const contenders = {};
    for (const connections of COUNTS) {
      const count = fitting(options, await load(port, await batchOf(Math.min(250, options.warm_up)), { connections }));
      contenders[connections] = async () => measure(server, await batchOf(count), { connections });
    }
    const samples = await takeTurns(options.rounds, contenders);
    return COUNTS.map((connections) => {
      const own = samples[connections];
      const ratios = { [`authorize_connections_${connections}${suffixOf(engine)}`]: ratioOf(own, samples[32]) };
      const what = `token ES256, ${connections} connection${connections === 1 ? "" : "s"}`;
      return { ...figureOf({ suite: "connections", server, what, samples: own, ratios }), connections };
    });
  } finally {
    await server.stop();
  }
}
