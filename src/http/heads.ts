import { Readable } from "node:stream";
import type { preHandlerHookHandler } from "fastify";

/**
 * A page's GET begins, spends and ends logins, as its protocols have it; who sends a HEAD, such as programs that look
 * where a link leads, asks for none of that (RFC 9110 §9.2.1, §9.3.2). They are told that a page is there, and no more: of
 * what is sent as a stream Fastify says no length, and that of a page is not known before it is made (§8.6).
 */
export const answerHeads: preHandlerHookHandler = (request, reply, done) => {
  if (request.method !== "HEAD" || !request.routeOptions.config.page) return done();
  reply.header("cache-control", "no-store").type("text/html; charset=utf-8").send(Readable.from([]));
};
