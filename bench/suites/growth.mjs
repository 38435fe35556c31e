/**
 * What a request costs as the database grows: the same authorizations with few rows in the tables, and with many codes, people and
 * accounts. The rows that fill are random and never asked for.
 */
import { load, median, requestsFor, rssOf, startServer } from "../harness.mjs";
import { fill, prepareCodes } from "../prepare.mjs";

export async function measureGrowth(engine, { requests, rounds, growth }) {
  const server = await startServer(engine);
  const { config, port, token, pid } = server;
  const batchOf = async (count) => requestsFor(port, token, "token", await prepareCodes(config, count));
  const cost = async () => {
    await load(port, await batchOf(500));
    const samples = [];
    for (let round = 0; round < rounds; round++) {
      const { ok, seconds } = await load(port, await batchOf(requests));
      samples.push(seconds / ok);
    }
    return median(samples);
  };
  try {
    const small = await cost();
    await fill(config, { codes: growth, users: Math.ceil(growth / 10), accounts: Math.min(100_000, growth / 10) });
    const large = await cost();
    return [
      {
        suite: "growth",
        engine,
        what: `authorize with ${growth.toLocaleString("en")} codes`,
        per_second: Math.round(1 / large),
        rss_mb: rssOf(pid),
        beside: { small: Math.round(1 / small) },
        ratios: { [`authorize_growth${engine === "sqlite" ? "" : `_${engine}`}`]: large / small },
      },
    ];
  } finally {
    await server.stop();
  }
}
