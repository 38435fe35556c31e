import type { FastifyReply, FastifyRequest } from "fastify";
import { noSuch } from "../errors.ts";
import { openToBrowsers } from "./cors.ts";
import { errorReply } from "./error-reply.ts";

/** 404 for an address that no route has, readable by pages of any origin. */
export function noSuchAddress(request: FastifyRequest, reply: FastifyReply): void {
  openToBrowsers(reply);
  errorReply(noSuch("address"), request, reply);
}
