/**
 * A JSON array that is read while it is sent: what an account may have any number of never lies in memory as a whole.
 *
 * In: pages, and how an item looks on the wire: an object, or its JSON in pieces where it may be large. Out: a reply whose
 * next page is read when the one before has left, and which ends where nobody reads it; to a HEAD, of the first page no
 * more than the status.
 */
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { noteTaken, noteUnread } from "./unread.ts";

export function sendList<T>(
  request: Pick<FastifyRequest, "method">,
  reply: Pick<FastifyReply, "type" | "send" | "raw">,
  pages: AsyncIterable<readonly T[]>,
  view: (item: T) => object | AsyncIterable<string>,
): void {
  reply.type("application/json; charset=utf-8");
  const list = write(pages, view);
  if (request.method !== "HEAD") return void reply.send(whileRead(list, reply.raw));
  // Whether it can be read decides the status; the rest would be read for nobody.
  list.next().then(
    () => reply.send(Readable.from([])),
    (error: unknown) => reply.send(error),
  );
}

/** Milliseconds for which a piece waits for a reader who takes nothing. */
const PATIENCE = 60_000;

/** Milliseconds after which a piece counts that was not taken: who reads on leaves none for as long. */
const MOMENT = 500;

/** Characters of a page, more or less, beside the item that is sent. */
const PAGE = 100_000;

/** What is sent holds a page of rows meanwhile: who has stopped reading is sent no more of it, and the connection ends. */
function whileRead(list: AsyncGenerator<string>, answer: ServerResponse): Readable {
  async function* pieces() {
    // A short last piece of a page makes no idle reader seem to hold less than one who reads on.
    let largest = 0;
    for await (const piece of list) {
      const given_up = setTimeout(() => stream.destroy(new Error("nobody reads the list any more")), PATIENCE);
      // The piece, what it was made of, and the one before it.
      largest = Math.max(largest, piece.length);
      const forget = afterMoment(() => noteUnread(answer, PAGE + 2 * largest + answer.writableLength));
      try {
        yield piece;
      } finally {
        clearTimeout(given_up);
        forget();
        noteTaken(answer);
      }
    }
  }
  const stream = Readable.from(pieces());
  return stream;
}

/** Calls it then, unless told not to; where the event loop stood still, once that has heard of what was taken meanwhile. */
function afterMoment(work: () => void): () => void {
  let turn: NodeJS.Immediate | undefined;
  const wait = setTimeout(() => {
    turn = setImmediate(work);
  }, MOMENT);
  return () => {
    clearTimeout(wait);
    clearImmediate(turn);
  };
}

/** Characters of a piece, unless a piece of one item alone has more. */
const PIECE = 65_536;

async function* write<T>(
  pages: AsyncIterable<readonly T[]>,
  view: (item: T) => object | AsyncIterable<string>,
): AsyncGenerator<string> {
  let [text, before] = ["[", ""];
  for await (const page of pages) {
    for (const item of page) {
      text += before;
      before = ",";
      const shown = view(item);
      for await (const piece of Symbol.asyncIterator in shown ? shown : [JSON.stringify(shown)]) {
        text += piece;
        if (text.length < PIECE) continue;
        yield text;
        text = "";
        // A reader who takes whatever comes gives nobody else a turn.
        await new Promise((turn) => setImmediate(turn));
      }
    }
    yield text;
    text = "";
  }
  yield `${text}]`;
}
