/**
 * What has been answered and is not taken lies in the memory of this process. Together, all connections may leave so
 * much; beyond it those end that hold most, of them first those that have taken nothing for longest. Who holds little
 * is not ended by others that ask for much.
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";

/** Characters of an answer that are not counted: a connection buffers as many anyway. */
const LITTLE = 65_536;
/** Characters of all others together. */
const ROOM = 32_000_000;

interface Waiting {
  readonly answers: Map<ServerResponse, number>;
  readonly forget: () => void;
}

/** Those that have taken nothing for longest come first. */
const connections = new Map<Socket, Waiting>();
let characters = 0;

/** Counts every answer that is one text, until its client has it. */
export function countUnread(app: FastifyInstance): void {
  app.addHook("onSend", (_request, reply, payload, done) => {
    const size = (payload as { readonly length?: number } | null | undefined)?.length ?? 0;
    if (size > LITTLE) noteUnread(reply.raw, size);
    done();
  });
}

/**
 * Of an answer, `held` characters lie here now. To say so again is to say that its client has taken some; at its end
 * none are left.
 */
export function noteUnread(answer: ServerResponse, held: number): void {
  const { socket } = answer.req;
  if (socket.destroyed) return;
  const waiting = connections.get(socket) ?? begin(socket);
  const before = waiting.answers.get(answer);
  if (before === undefined) answer.once("close", () => end(socket, answer));
  else moveToEnd(socket, waiting);
  waiting.answers.set(answer, held);
  characters += held - (before ?? 0);
  while (characters > ROOM) {
    const most = holdsMost();
    if (!most) break;
    forget(most);
    most.destroy();
  }
}

/** Of an answer that counts, its client has taken what lay here, but for what is being written. */
export function noteTaken(answer: ServerResponse): void {
  if (connections.get(answer.req.socket)?.answers.has(answer)) noteUnread(answer, answer.writableLength);
}

/** Among those that hold as much, the one that has taken nothing for longest. */
function holdsMost(): Socket | undefined {
  let most: Socket | undefined;
  let largest = 0;
  for (const [socket, { answers }] of connections) {
    let held = 0;
    for (const one of answers.values()) held += one;
    if (held > largest) [most, largest] = [socket, held];
  }
  return most;
}

function begin(socket: Socket): Waiting {
  const waiting = { answers: new Map(), forget: () => forget(socket) };
  connections.set(socket, waiting);
  socket.once("close", waiting.forget);
  return waiting;
}

function moveToEnd(socket: Socket, waiting: Waiting): void {
  connections.delete(socket);
  connections.set(socket, waiting);
}

function end(socket: Socket, answer: ServerResponse): void {
  const waiting = connections.get(socket);
  if (!waiting) return;
  characters -= waiting.answers.get(answer) ?? 0;
  waiting.answers.delete(answer);
  if (waiting.answers.size > 0) moveToEnd(socket, waiting);
  else forget(socket);
}

function forget(socket: Socket): void {
  const waiting = connections.get(socket);
  if (!waiting) return;
  connections.delete(socket);
  socket.off("close", waiting.forget);
  for (const held of waiting.answers.values()) characters -= held;
}
