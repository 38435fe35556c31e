import type { FastifyReply, FastifyRequest } from "fastify";
import { noSuch } from "../errors.ts";
import { openToBrowsers } from "./cors.ts";
import { errorReply, wantsPage } from "./error-reply.ts";

/** 404 for an address that no route has: a page where a person is looking, else readable by pages of any origin. */
export function noSuchAddress(request: FastifyRequest, reply: FastifyReply): void {
  const page = wantsPage(request);
  if (!page) openToBrowsers(reply);
  errorReply(noSuch("address"), request, reply, page);
}
