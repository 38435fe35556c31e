/**
 * What a request said beside what its route declares is nobody's: it was not checked. It is taken away before a handler
 * runs, which may then hand on what it was given as it is.
 *
 * In: the schemas of a route's body and query. Out: a request that holds nothing else.
 */
import type { FastifyInstance, preHandlerHookHandler, RouteOptions } from "fastify";

/** Takes away, in place, the members that a schema does not declare. */
type Pruner = (value: object) => void;

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: unknown;
  readonly additionalProperties?: unknown;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

/** What a schema declares by name; of alternatives, what any of them does. */
export const namesIn = (schema: unknown): Readonly<Record<string, { readonly type?: string }>> => {
  const { anyOf, properties = {} } = (schema ?? {}) as Schema;
  return anyOf ? (oneOf(anyOf).properties ?? {}) : properties;
};

/** Where a schema says `additionalProperties`, or declares no members at all, everything stays. */
export function keepDeclared(app: FastifyInstance): void {
  app.addHook("onRoute", (route: RouteOptions) => {
    const ofBody = prunerOf((route.schema?.body ?? {}) as Schema);
    const ofQuery = prunerOf((route.schema?.querystring ?? {}) as Schema);
    if (!ofBody && !ofQuery) return;
    const keep: preHandlerHookHandler = ({ body, query }, _reply, done) => {
      if (ofBody && isObject(body)) ofBody(body);
      if (ofQuery && isObject(query)) ofQuery(query);
      done();
    };
    route.preHandler = [keep, ...[route.preHandler ?? []].flat()];
  });
}

/** @returns undefined where nothing is ever to be taken away. */
export function prunerOf(schema: Schema): Pruner | undefined {
  const { items, properties } = schema.anyOf ? oneOf(schema.anyOf) : schema;
  if (items) return eachWith(prunerOf(items));
  if (!properties) return undefined;
  const open = [schema, ...(schema.anyOf ?? [])].some(isOpen);
  const known = new Map(Object.entries(properties).map(([name, of]) => [name, prunerOf(of)]));
  if (open && [...known.values()].every((inner) => inner === undefined)) return undefined;
  return (value) => {
    const members = value as Record<string, unknown>;
    for (const name of Object.keys(members)) {
      const member = members[name];
      if (!known.has(name)) {
        if (!open) delete members[name];
      } else if (isObject(member)) known.get(name)?.(member);
    }
  };
}

/** Alternatives as one: what any of them declares is declared. */
function oneOf(alternatives: readonly Schema[]): Schema {
  const members = alternatives.flatMap(({ properties }) => (properties ? [properties] : []));
  const items = alternatives.map((one) => one.items).find(Boolean);
  return {
    ...(items ? { items } : {}),
    ...(members.length > 0 ? { properties: Object.assign({}, ...members) } : {}),
  };
}

function isOpen({ additionalProperties, patternProperties }: Schema): boolean {
  return (additionalProperties !== undefined && additionalProperties !== false) || patternProperties !== undefined;
}

function eachWith(inner: Pruner | undefined): Pruner | undefined {
  if (!inner) return undefined;
  return (value) => {
    if (Array.isArray(value)) for (const item of value) if (isObject(item)) inner(item);
  };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
