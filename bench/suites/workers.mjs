/**
 * PostgreSQL alone: processes that share one port. Each number has a server and a database of its own, all up at the
 * same time.
 */
import { figureOf, fitting, ratioOf, takeTurns } from "../figures.mjs";
import { load, measure, requestsFor, startServer } from "../harness.mjs";
import { prepareCodes } from "../prepare.mjs";

const COUNTS = [1, 2, 3, 4];
const many = { connections: 64 };

export async function measureWorkers(engine, options) {
  if (engine !== "postgres") return [];
  const servers = [];
  try {
    for (const count of COUNTS) servers.push(await startServer(engine, { WORKERS: String(count) }));
    const batchOf = async (server, count) =>
      requestsFor(server.port, server.token, "token", await prepareCodes(server, count));
    const contenders = {};
    for (const [index, server] of servers.entries()) {
      const count = fitting(options, await load(server.port, await batchOf(server, options.warm_up), many));
      contenders[COUNTS[index]] = async () => measure(server, await batchOf(server, count), many);
    }
    const samples = await takeTurns(options.rounds, contenders);
    return COUNTS.map((workers, index) => {
      const own = samples[workers];
      const ratios = { [`authorize_workers_${workers}`]: ratioOf(own, samples[1]) };
      const what = `token ES256, WORKERS=${workers}, 64 connections`;
      return { ...figureOf({ suite: "workers", server: servers[index], what, samples: own, ratios }), workers };
    });
  } finally {
    for (const server of servers) await server.stop();
  }
}
