/**
 * A JSON array that is read while it is sent: what an account may have any number of never lies in memory as a whole.
 *
 * In: pages, and how an item looks on the wire. Out: a reply whose next page is read when the one before has left; to a
 * HEAD, of the first page no more than the status.
 */
import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";

export function sendList<T>(
  request: Pick<FastifyRequest, "method">,
  reply: Pick<FastifyReply, "type" | "send">,
  pages: AsyncIterable<readonly T[]>,
  view: (item: T) => object,
): void {
  reply.type("application/json; charset=utf-8");
  const list = write(pages, view);
  if (request.method !== "HEAD") return void reply.send(Readable.from(list));
  // Whether it can be read decides the status; the rest would be read for nobody.
  list.next().then(
    () => reply.send(Readable.from([])),
    (error: unknown) => reply.send(error),
  );
}

/** Characters of a piece, unless one item alone has more. */
const PIECE = 65_536;

async function* write<T>(pages: AsyncIterable<readonly T[]>, view: (item: T) => object): AsyncGenerator<string> {
  let [text, before] = ["[", ""];
  for await (const page of pages) {
    for (const item of page) {
      if (text.length >= PIECE) {
        yield text;
        text = "";
      }
      text += before + JSON.stringify(view(item));
      before = ",";
    }
    yield text;
    text = "";
  }
  yield `${text}]`;
}
