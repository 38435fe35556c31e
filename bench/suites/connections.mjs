/** How authorizations a second follow the number of connections: what a batch and a shared commit bring. */
import { figureOf, ratioOf, suffixOf, takeTurns } from "../figures.mjs";
import { load, measure, requestsFor, startServer } from "../harness.mjs";
import { prepareCodes } from "../prepare.mjs";

const COUNTS = [1, 8, 32, 128];

export async function measureConnections(engine, { requests, rounds }) {
  const server = await startServer(engine);
  const { port, token } = server;
  const batchOf = async (count) => requestsFor(port, token, "token", await prepareCodes(server, count));
  // One connection gets a fraction of the rate; the measurement should not take the longer for it.
  const shareOf = (connections) => Math.ceil(requests / (connections === 1 ? 4 : 1));
  const contender = (connections) => [
    String(connections),
    async () => measure(server, await batchOf(shareOf(connections)), { connections }),
  ];
  try {
    await load(port, await batchOf(1_000));
    const samples = await takeTurns(rounds, Object.fromEntries(COUNTS.map(contender)));
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
