import { Type } from "typebox";
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

export function systemRoutes(app: App, readiness: () => Promise<Readiness>): void {
  app.route({
    method: "GET",
    url: "/healthz",
    logLevel: "warn",
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
    logLevel: "warn",
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
}
