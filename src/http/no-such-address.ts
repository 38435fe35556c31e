import type { FastifyReply, FastifyRequest } from "fastify";
import { noSuch } from "../errors.ts";
import { accepts } from "./accepts.ts";
import { openToBrowsers } from "./cors.ts";
import { errorReply, wantsPage } from "./error-reply.ts";

/** 404 for an address that no route has: a page where a person is looking, else readable by pages of any origin. */
export function noSuchAddress(request: FastifyRequest, reply: FastifyReply): void {
  const page = wantsPage(request) && !fromProgram(request);
  if (!page) openToBrowsers(reply);
  errorReply(noSuch("address"), request, reply, page);
}

/** Libraries name text/html too; a browser that goes somewhere neither shows a token nor takes JSON. */
const fromProgram = ({ method, headers }: FastifyRequest): boolean =>
  (method !== "GET" && method !== "HEAD") ||
  headers.authorization !== undefined ||
  accepts(headers.accept, "application/json");
