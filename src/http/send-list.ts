/**
 * A JSON array that is read while it is sent: what an account may have any number of never lies in memory as a whole.
 *
 * In: pages, and how an item looks on the wire. Out: a reply whose next page is read when the one before has left.
 */
import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";

export function sendList<T>(
  reply: Pick<FastifyReply, "type" | "send">,
  pages: AsyncIterable<readonly T[]>,
  view: (item: T) => object,
): void {
  reply.type("application/json; charset=utf-8");
  reply.send(Readable.from(write(pages, view)));
}

async function* write<T>(pages: AsyncIterable<readonly T[]>, view: (item: T) => object): AsyncGenerator<string> {
  let before = "[";
  for await (const page of pages) {
    yield before + page.map((item) => JSON.stringify(view(item))).join();
    before = ",";
  }
  yield before === "[" ? "[]" : "]";
}
