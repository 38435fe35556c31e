import type { FastifyRequest } from "fastify";
import { factsOf, type RequestFacts } from "../http/facts.ts";
import type { Actor } from "./directory.ts";

/** Who changes the directory through a request, for the audit trail. */
export function actorOf(request: FastifyRequest): Actor {
  return actorFrom(request.bearer.subject, factsOf(request));
}

/** Whoever that is, from where they came. */
export const actorFrom = (id: string, facts: RequestFacts): Actor => ({ id, context: { ...facts } });
