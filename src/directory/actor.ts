import type { FastifyRequest } from "fastify";
import type { Actor } from "./directory.ts";

/** Who changes the directory through a request, for the audit trail. */
export function actorOf(request: FastifyRequest): Actor {
  const user_agent = request.headers["user-agent"]?.slice(0, 200);
  const context = { request_id: request.id, ip: request.ip, ...(user_agent ? { user_agent } : {}) };
  return { id: request.bearer.subject, context };
}
