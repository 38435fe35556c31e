import type { FastifyRequest } from "fastify";
import { factsOf } from "../http/facts.ts";
import type { Actor } from "./directory.ts";

/** Who changes the directory through a request, for the audit trail. */
export function actorOf(request: FastifyRequest): Actor {
  return { id: request.bearer.subject, context: { ...factsOf(request) } };
}
