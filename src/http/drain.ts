/**
 * How a server stops without losing a request. While it says farewell it still accepts, and every answer asks its client to close
 * the connection; then it accepts nothing more, closes what is idle and answers what is under way; in the end it closes the rest.
 */
import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { App } from "./server.ts";

/** All in milliseconds. The farewell is over when nobody asked for so long … */
const QUIET = 100;
/** … or after this. */
const FAREWELL = 1_000;
/** How often it looks whether anybody is left. */
const LOOK = 20;
/** Whoever has not finished sending by then, or has not said a word, is not waited for. */
const PATIENCE = 10_000;

export function drainConnections(app: App): void {
  const connections = keepConnections(app.server);
  let asked_at = 0;
  let ending: NodeJS.Timeout | undefined;
  app.addHook("onRequest", (_request, _reply, done) => {
    asked_at = performance.now();
    done();
  });
  app.addHook("preClose", async () => {
    // A connection that is closed while its client sends is a lost request: what is kept alive has to be closed by an answer.
    // Fastify does so to those that come from now on.
    for (const { latest } of connections.values()) if (!latest?.headersSent) latest?.setHeader("connection", "close");
    const began = performance.now();
    const waiting = () => {
      const now = performance.now();
      return now - began < FAREWELL && now - Math.max(asked_at, began) < QUIET;
    };
    while (waiting() && connections.size > 0) await pause(LOOK);
    ending = setTimeout(() => app.server.closeAllConnections(), PATIENCE);
  });
  app.addHook("onClose", (_app, done) => {
    clearTimeout(ending);
    done();
  });
}

interface Connection {
  /** Requests whose answer has not left. */
  unanswered: number;
  /** To the request that came last; others of its connection are answered before it. */
  latest?: ServerResponse;
  /** Bytes that had come when the last answer left: more than these belong to a further request. -1 before there was any. */
  heard: number;
}

/**
 * Keeps an account of the open connections, by which it closes those that are idle, now or once their answer has left. Node's own
 * `close` begins with that, but takes one for idle whose answer has been handed over and still waits for a slow client.
 */
function keepConnections(server: Server): ReadonlyMap<Socket, Connection> {
  const connections = new Map<Socket, Connection>();
  let closing = false;
  server.on("connection", (socket) => {
    connections.set(socket, { unanswered: 0, heard: -1 });
    socket.once("close", () => connections.delete(socket));
  });
  server.on("request", ({ socket }, response) => {
    const connection = connections.get(socket);
    if (!connection) return;
    connection.unanswered += 1;
    connection.latest = response;
    response.once("close", () => {
      connection.unanswered -= 1;
      connection.heard = socket.bytesRead;
      if (closing && connection.unanswered === 0) socket.destroySoon();
    });
  });
  server.closeIdleConnections = () => {
    closing = true;
    for (const [socket, { unanswered, heard }] of connections)
      if (unanswered === 0 && socket.bytesRead === heard) socket.destroy();
  };
  return connections;
}
