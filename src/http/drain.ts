/**
 * How a server stops without losing a request. While it says farewell it still accepts, and every answer asks its client to close
 * the connection; then it accepts nothing more, closes what is idle and answers what is under way; in the end it closes the rest.
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { App } from "./server.ts";

/** All in milliseconds. The farewell is over when nobody asked for so long … */
const QUIET = 100;
/** … or after this. */
const FAREWELL = 1_000;
/** How often it looks for connections whose last request has been answered. */
const LOOK = 20;
/** Whoever has not finished sending by then, or has not said a word, is not waited for. */
const PATIENCE = 10_000;

export function drainConnections(app: App): void {
  let [asked_at, looking, ending]: [number, NodeJS.Timeout?, NodeJS.Timeout?] = [0];
  spareSending(app.server);
  app.addHook("onRequest", (_request, _reply, done) => {
    asked_at = performance.now();
    done();
  });
  app.addHook("preClose", async () => {
    // A connection that is closed while its client sends is a lost request: what is kept alive has to be closed by an answer.
    const began = performance.now();
    const waiting = () => {
      const now = performance.now();
      return now - began < FAREWELL && now - Math.max(asked_at, began) < QUIET;
    };
    while (waiting() && (await connectionsOf(app.server)) > 0)
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    looking = setInterval(() => app.server.closeIdleConnections(), LOOK);
    ending = setTimeout(() => app.server.closeAllConnections(), PATIENCE);
  });
  app.addHook("onClose", (_app, done) => {
    clearInterval(looking);
    clearTimeout(ending);
    done();
  });
}

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((_error, count) => resolve(count ?? 0)));
}

/**
 * For Node a connection is idle when its answer has been handed over, also while most of it still waits for a slow client. Whoever
 * closes what is idle, Node's own `close` too, passes those by.
 */
function spareSending(server: Server): void {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const closeIdle = server.closeIdleConnections.bind(server);
  server.closeIdleConnections = () => {
    const sending = [...sockets].filter(({ writableLength }) => writableLength > 0);
    for (const socket of sending) socket.destroy = () => socket;
    closeIdle();
    for (const socket of sending) Reflect.deleteProperty(socket, "destroy");
  };
}
