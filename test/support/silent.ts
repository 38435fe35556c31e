/** A server that takes every connection and never says a word. */
import { createServer, type Socket } from "node:net";
import { freePort } from "../../scripts/postgres.mjs";

export interface SilentServer {
  /** host:port */
  readonly host: string;
  /** How many connections it has taken so far. */
  readonly taken: number;
  close(): Promise<void>;
}

export async function openSilentServer(): Promise<SilentServer> {
  const open = new Set<Socket>();
  let taken = 0;
  const server = createServer((socket) => {
    taken += 1;
    open.add(socket);
    socket.on("error", () => {}).on("close", () => open.delete(socket));
    socket.resume();
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${port}`,
    get taken() {
      return taken;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
