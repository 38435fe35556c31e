import type { FastifyInstance } from "fastify";
import { isLookedAt } from "../http/no-such-address.ts";

/** The address of a page that people type or were told, as no login's is; and what it asks with. */
const TYPED = /^\/v1\/accounts\/([pt]\d{3}(?:\d{5})?)\/(device|login\/consents|sandbox)\/*($|\?.*$)/i;

/**
 * People type an address off a screen (RFC 8628 §3.3.1) in small letters or capitals, and with a slash at its end: their browser
 * is led to the page that they mean. Goes before whatever refuses an account's id that is written so.
 */
export function leadToPages(app: FastifyInstance, public_url: string): void {
  app.addHook("onRequest", (request, reply, done) => {
    const [typed, account_id = "", page = "", query = ""] = TYPED.exec(request.url) ?? [];
    const meant = `/v1/accounts/${account_id.toUpperCase()}/${page.toLowerCase()}${query}`;
    if (typed === undefined || typed === meant || !isLookedAt(request)) return done();
    reply.header("cache-control", "no-store").redirect(`${public_url}${meant}`, 302);
  });
}
