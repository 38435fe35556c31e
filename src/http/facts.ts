import type { FastifyRequest } from "fastify";

/** Where a request came from, for the audit trail. */
export interface RequestFacts {
  readonly request_id: string;
  readonly ip: string;
  readonly user_agent?: string;
}

export function factsOf(request: FastifyRequest): RequestFacts {
  const user_agent = request.headers["user-agent"]?.slice(0, 200);
  return { request_id: String(request.id), ip: request.ip, ...(user_agent ? { user_agent } : {}) };
}
