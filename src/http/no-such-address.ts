import type { FastifyReply, FastifyRequest } from "fastify";
import { refuse } from "../errors.ts";
import { openToBrowsers } from "./cors.ts";
import { errorReply } from "./error-reply.ts";

/** 404 for an address that no route has, readable by pages of any origin. */
export function noSuchAddress(request: FastifyRequest, reply: FastifyReply): void {
  openToBrowsers(reply);
  errorReply(refuse("not_found", { message: "There is no such address." }), request, reply);
}
