import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { isLoopbackUrl } from "../config.ts";
import { noSuch } from "../errors.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { refusals } from "./contract.ts";
import type { App } from "./server.ts";

/** What is wrong with this process, or with its database; and what it could not deliver. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, "ok" | "failed">>;
  /** Things an operator should look at, though this process can serve. */
  readonly degraded: Readonly<Record<string, number>>;
}

const Ready = Type.Object({
  status: Type.String(),
  checks: Type.Record(Type.String(), Type.String()),
  degraded: Type.Record(Type.String(), Type.Integer()),
});

const tags = ["system"];

export interface SystemOptions {
  readiness(): Promise<Readiness>;
  /** Undefined where the figures have a port of their own. */
  readonly metrics: Metrics | undefined;
}

export function systemRoutes(app: App, { readiness, metrics }: SystemOptions): void {
  app.route({
    method: "GET",
    url: "/healthz",
    config: { surface: "system", public: true },
    schema: {
      operationId: "healthz_get",
      summary: "Whether the process answers",
      tags,
      response: { 200: Type.Object({ status: Type.Literal("ok") }) },
    },
    handler: async () => ({ status: "ok" as const }),
  });

  app.route({
    method: "GET",
    url: "/readyz",
    config: { surface: "system", public: true },
    schema: {
      operationId: "readyz_get",
      summary: "Whether the process can serve",
      description:
        "503 only for faults of this process or its database; undelivered messages are counted under degraded.",
      tags,
      response: { 200: Ready, 503: Ready },
    },
    handler: async (_request, reply) => {
      const { ready, checks, degraded } = await readiness();
      reply.code(ready ? 200 : 503).header("cache-control", "no-store");
      return { status: ready ? "ready" : "not ready", checks: { ...checks }, degraded: { ...degraded } };
    },
  });

  app.route({
    method: "GET",
    url: "/metrics",
    config: { surface: "system", public: true },
    schema: {
      operationId: "metrics_get",
      summary: "Figures for Prometheus",
      description:
        "Answers callers on this machine only, who ask by localhost or 127.0.0.1; anybody else gets 404. METRICS_PORT moves it to a port of its own.",
      tags,
      response: {
        200: { description: "Prometheus' text format.", content: { "text/plain": { schema: Type.String() } } },
        ...refusals("account", "not_found"),
      },
    },
    handler: async (request, reply) => {
      if (!metrics || !isLocal(request)) throw noSuch("address");
      reply.type(metrics.content_type);
      return metrics.text();
    },
  });
}

/** By the connection, and by the name that was asked for; what a proxy on this machine passes on is not local. */
function isLocal({ headers, socket }: FastifyRequest): boolean {
  const { remoteAddress = "" } = socket;
  if (!isLoopbackUrl(`http://${headers.host}`)) return false;
  const proxied = headers["x-forwarded-for"] !== undefined || headers.forwarded !== undefined;
  return !proxied && /^(::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/.test(remoteAddress);
}
