import type { FastifyInstance, FastifyReply, RouteOptions } from "fastify";
import { refuse } from "../errors.ts";
import type { Surface } from "./contract.ts";
import { errorReply } from "./error-reply.ts";

const ALLOWED = "Authorization, Content-Type, Accept, DPoP";
const EXPOSED = "Location, Login-Session-Id, Retry-After, WWW-Authenticate, DPoP-Nonce, Request-Id, total-count";
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

/** Any origin may call and read, never with credentials: what protects these routes is the bearer token. */
export function openToBrowsers(reply: FastifyReply): void {
  reply.header("access-control-allow-origin", "*");
  reply.header("access-control-expose-headers", EXPOSED);
}

/**
 * CORS by each route's contract, errors included. Also answers the preflights, and 405 with `Allow` for a method that an
 * address does not have.
 */
export function answerPreflights(app: FastifyInstance): void {
  const addresses = new Map<string, { readonly surface: Surface; readonly methods: Set<string>; cors: boolean }>();
  let finishing = false;

  app.addHook("onRoute", (route: RouteOptions) => {
    const { surface, cors = true } = route.config ?? {};
    if (finishing || surface === undefined || surface === "system") return;
    const address = addresses.get(route.url) ?? { surface, methods: new Set(), cors };
    for (const method of [route.method].flat()) address.methods.add(method);
    address.cors &&= cors;
    addresses.set(route.url, address);
  });

  app.addHook("onRequest", (request, reply, done) => {
    const { surface, cors } = request.routeOptions.config;
    if ((surface === "account" || surface === "oauth") && cors !== false) openToBrowsers(reply);
    done();
  });

  app.decorate("finishRoutes", () => {
    finishing = true;
    for (const [url, { surface, methods, cors }] of addresses) {
      const allow = [...methods].sort().join(", ");
      const rest = METHODS.filter((method) => !methods.has(method));
      const config = { surface, public: true as const, cors };
      const schema = { hide: true };
      app.route({
        method: "OPTIONS",
        url,
        config,
        schema,
        handler: async (_request, reply) => preflight(reply, allow, cors),
      });
      if (rest.length === 0) continue;
      app.route({
        method: [...rest],
        url,
        config,
        schema,
        handler: async (request, reply) => {
          errorReply(refuse("method_not_allowed", { headers: { allow } }), request, reply);
          return reply;
        },
      });
    }
  });
}

function preflight(reply: FastifyReply, allow: string, cors: boolean): FastifyReply {
  reply.code(204).header("allow", `${allow}, OPTIONS`);
  if (cors) {
    reply
      .header("access-control-allow-methods", allow)
      .header("access-control-allow-headers", ALLOWED)
      .header("access-control-max-age", "7200");
  }
  return reply.send();
}

declare module "fastify" {
  interface FastifyInstance {
    /** Call once when every route is mounted: adds preflights and 405 answers. */
    finishRoutes(): void;
  }
}
