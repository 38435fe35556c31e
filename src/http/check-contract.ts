import type { FastifyInstance, preHandlerHookHandler, RouteOptions } from "fastify";
import type { TSchema } from "typebox";
import { malformed } from "./error-reply.ts";

/** Strings without a stated limit end here. */
const STRING_LIMIT = 2_048;

/** Refuses to boot a route that does not say who may call it and what it answers; bounds its strings and lists of choices. */
export function checkContract(app: FastifyInstance): void {
  const operations = new Set<string>();
  app.addHook("onRoute", (route: RouteOptions) => {
    const { schema = {}, config = {} } = route;
    if (schema.hide || config.surface === undefined) return;
    const name = `${String(route.method)} ${route.url}`;
    const { operationId, response } = schema;
    if ([route.method].flat().includes("HEAD") && operations.has(operationId ?? "")) return;
    if (!operationId) throw new Error(`${name} has no operationId`);
    if (!response || Object.keys(response as object).length === 0) throw new Error(`${name} declares no responses`);
    if (!config.public && !config.scopes) throw new Error(`${name} declares neither scopes nor public`);
    operations.add(operationId);
    for (const part of ["body", "querystring", "params"] as const) {
      if (schema[part]) schema[part] = bounded(schema[part] as TSchema);
    }
    if (JSON.stringify(schema.querystring ?? {}).includes('"integer"')) {
      route.preHandler = [checkNumbers, ...[route.preHandler ?? []].flat()];
    }
  });
}

/** Digits without end are read as infinity, which no maximum of a schema is held against. */
const checkNumbers: preHandlerHookHandler = (request, _reply, done) => {
  const endless = Object.entries(request.query as object).filter(([, value]) => value === Number.POSITIVE_INFINITY);
  const faults = endless.map(([path]) => ({ path, code: "too_large", message: "is too large" }));
  done(faults.length > 0 ? malformed(faults) : undefined);
};

function bounded(schema: TSchema): TSchema {
  if (Array.isArray(schema)) return schema.map(bounded) as unknown as TSchema;
  if (typeof schema !== "object" || schema === null) return schema;
  const copy = Object.fromEntries(
    Object.entries(schema).map(([name, value]) => [
      name,
      name === "enum" || name === "default" ? value : bounded(value),
    ]),
  ) as Record<string, unknown>;
  const { enum: values, items } = copy as { enum?: unknown[]; items?: { enum?: unknown[] } };
  // Without a type, unique entries are looked for by comparing each with each.
  if (values?.every((value) => typeof value === "string")) copy.type ??= "string";
  if (copy.uniqueItems && items?.enum) copy.maxItems ??= items.enum.length;
  if (copy.type === "string" && !values && !("maxLength" in copy)) copy.maxLength = STRING_LIMIT;
  return copy as TSchema;
}
