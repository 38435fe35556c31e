import type { FastifyReply, FastifyRequest } from "fastify";
import { noSuch } from "../errors.ts";
import { accepts } from "./accepts.ts";
import { openToBrowsers } from "./cors.ts";
import { errorReply, wantsPage } from "./error-reply.ts";

/** 404 for an address that no route has: a page where a person is looking, else readable by pages of any origin. */
export function noSuchAddress(request: FastifyRequest, reply: FastifyReply): void {
  const page = isLookedAt(request);
  if (!page) openToBrowsers(reply);
  errorReply(noSuch("address"), request, reply, page);
}

/** Whether a person is looking. Libraries name text/html too; a browser that goes somewhere neither shows a token nor takes JSON. */
export function isLookedAt(request: FastifyRequest): boolean {
  const { method, headers } = request;
  if (!wantsPage(request) || (method !== "GET" && method !== "HEAD")) return false;
  return headers.authorization === undefined && !accepts(headers.accept, "application/json");
}
