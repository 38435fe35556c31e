/** Node answers for us before there is a request: what it refuses has the shape of every other refusal, and its line in the log. */
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastifyBaseLogger } from "fastify";

/** What no handler ever sees: by the code of Node's error, a status and what the client did. */
const garbage: Readonly<Record<string, readonly [status: number, reason: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large", "The request's headers are too large."],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout", "The request took too long to arrive."],
};
const NOT_HTTP = [400, "Bad Request", "This is not valid HTTP."] as const;

export interface EarlyRefusals {
  /** RFC 9110 §10.1.1: of expectations there is `100-continue`, and Node meets that one. */
  readonly expectation: (request: IncomingMessage, response: ServerResponse) => void;
  /** What is not HTTP at all, or never ends, still gets an answer that says so. */
  readonly garbage: (error: Error & { code?: string }, socket: Socket) => void;
}

/** The answer whose turn it is; Node's own handler of garbage looks there too. */
const pendingOf = (socket: Socket) => (socket as { readonly _httpMessage?: ServerResponse | null })._httpMessage;

/** What is garbage is so again with every piece that comes. */
const ending = new WeakSet<Socket>();

function endAfterAnswers(socket: Socket): void {
  if (ending.has(socket)) return;
  ending.add(socket);
  const next = () => {
    const pending = pendingOf(socket);
    if (pending?.req.complete) pending.once("close", next);
    else socket.end();
  };
  next();
}

export function refuseEarly(log: FastifyBaseLogger): EarlyRefusals {
  function refuse(status: number, message: string) {
    const id = randomBytes(12).toString("base64url");
    log.info({ request_id: id, status, code: "invalid_request" }, "refused before it was a request");
    return { id, body: JSON.stringify({ error: { code: "invalid_request", message } }) };
  }
  return {
    expectation(_request, response) {
      const { body, id } = refuse(417, "Expect: only 100-continue is supported.");
      response.writeHead(417, { "content-type": "application/json; charset=utf-8", "request-id": id }).end(body);
    },
    garbage({ code = "" }, socket) {
      if (code === "ECONNRESET" || !socket.writable) return void socket.destroy();
      // Whoever sent whole requests before it is told what came of them, and takes nothing else for an answer to the last.
      if (pendingOf(socket)?.req.complete) return endAfterAnswers(socket);
      const [status, reason, message] = garbage[code] ?? NOT_HTTP;
      const { body, id } = refuse(status, message);
      socket.end(
        `HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/json; charset=utf-8\r\nRequest-Id: ${id}\r\n` +
          `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
    },
  };
}
