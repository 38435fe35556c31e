/**
 * Sends: its counts taken, then a code made and its message queued in one commit; each for somebody else, into the
 * sandbox inbox.
 */
import { figureOf, fitting, takeTurns } from "../figures.mjs";
import { load, measure, startServer } from "../harness.mjs";
import { ACCOUNT, AUDIENCE, preparePeople } from "../prepare.mjs";
import { post } from "../requests.mjs";

export async function measurePasswordless(engine, options) {
  const server = await startServer(engine);
  const { port, token } = server;
  const path = `/v1/accounts/${ACCOUNT}/auth/passwordless`;
  const about = { connection: "email", client_id: "bench", audience: AUDIENCE };
  const batchOf = async (count) =>
    (await preparePeople(server, count)).map(({ email }) =>
      post(port, path, { authorization: `Bearer ${token}` }, { json: { ...about, email } }),
    );
  try {
    const count = fitting(options, await load(port, await batchOf(Math.min(500, options.warm_up)), { expected: 204 }));
    const send = async () => measure(server, await batchOf(count), { expected: 204 });
    const { samples } = await takeTurns(options.rounds, { samples: send });
    return [figureOf({ suite: "passwordless", server, what: "a code sent", samples })];
  } finally {
    await server.stop();
  }
}
