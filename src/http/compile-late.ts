/**
 * Makes checks of requests and writers of answers out of the schemas of routes, late: Fastify wants all of them before
 * it listens, which would be a third of the time to start. Each is made when it is first used, and the rest while
 * nobody asks for anything.
 */

import { AjvCompiler } from "@fastify/ajv-compiler";
import { SerializerSelector } from "@fastify/fast-json-stringify-compiler";
import type { Ajv } from "ajv";
import type { FastifyInstance } from "fastify";
import { measureTexts } from "./text-lengths.ts";

type Compiled = ((value: unknown) => unknown) & { errors?: unknown };
type Options = { readonly customOptions?: object; readonly onCreate?: (ajv: Ajv) => void };
type Compile = (route: { readonly httpPart?: string; readonly schema?: unknown }) => Compiled;

/** Fastify's compilers, as far as this file needs to know them. */
type Compiler = (externals: unknown, options?: Options) => Compile;

export interface LateCompilers {
  /** For Fastify's `compilersFactory`. */
  readonly factory: { readonly buildValidator: never; readonly buildSerializer: never };
  /**
   * Makes what was not needed yet as soon as the server listens, so that an invalid schema is noticed before its first
   * request.
   */
  compileOnListen(app: FastifyInstance): void;
}

export function lateCompilers(): LateCompilers {
  const waiting = new Set<() => void>();
  const late =
    (compiler: Compiler): Compiler =>
    (externals, options) => {
      const shared = sharedBy(compiler, externals, options);
      return (route) => {
        let made: Compiled | undefined;
        const make = () => {
          waiting.delete(make);
          made = shared(route);
          return made;
        };
        waiting.add(make);
        const compiled: Compiled = (value) => {
          const own = made ?? make();
          const answer = own(value);
          compiled.errors = own.errors;
          return answer;
        };
        return compiled;
      };
    };
  // One a turn of the event loop: nobody waits for more than one.
  const compileRest = () => {
    const [next] = waiting;
    if (next === undefined) return;
    next();
    setImmediate(compileRest).unref();
  };
  return {
    factory: {
      buildValidator: late(judgeByPart) as never,
      buildSerializer: late(writeOpenPlainly) as never,
    },
    compileOnListen(app) {
      app.addHook("onListen", (done) => {
        compileRest();
        done();
      });
    },
  };
}

const everywhere = new Map<Compiler, Map<string, Compiled>>();

/** Routes have most of their schemas in common, a refusal above all, and servers of one process all: one is made of each. */
function sharedBy(compiler: Compiler, externals: unknown, options?: Options): Compile {
  const made = entry(everywhere, compiler, () => new Map<string, Compiled>());
  let compile: Compile | undefined;
  return (route) => {
    const asked = [externals, options?.customOptions, route.httpPart, route.schema];
    return entry(made, JSON.stringify(asked, unlessForPeople), () => {
      compile ??= compiler(externals, options);
      return compile(route);
    });
  };
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

/** A member that is called `description` has a schema there, and no text. */
const unlessForPeople = (keyword: string, value: unknown) =>
  keyword === "description" && typeof value === "string" ? undefined : value;

const ajv = AjvCompiler() as unknown as Compiler;
const buildValidator: Compiler = (externals, options) =>
  ajv(externals, {
    ...options,
    onCreate(made) {
      measureTexts(made);
      // They say how an id is read. One that nothing has is found nowhere, whatever it looks like.
      for (const format of ["uuid", "uuid-or-name"]) made.addFormat(format, true);
      made.addKeyword("x-as-sent");
    },
  });

/** Path, query and headers are text, so that their numbers are read from it; a JSON body says what it means. */
const judgeByPart: Compiler = (externals, options) => {
  const coercing = buildValidator(externals, options);
  const ofBodies = judgeBodies(externals, { customOptions: { ...options?.customOptions, coerceTypes: false } });
  return (route) => (route.httpPart === "body" ? ofBodies : coercing)(route);
};

/**
 * A body is read as far as its first fault, and then anew for all of them, unless so much is in it that they alone
 * would be work out of all proportion.
 */
const judgeBodies: Compiler = (externals, options) => {
  const toFirst = buildValidator(externals, { customOptions: { ...options?.customOptions, allErrors: false } });
  let toLast: Compile | undefined;
  return (route) => {
    const findFirst = toFirst(route);
    let findAll: Compiled | undefined;
    const judge: Compiled = (body) => {
      if (findFirst(body)) return true;
      judge.errors = findFirst.errors;
      if (isLarge(body)) return false;
      toLast ??= buildValidator(externals, options);
      findAll ??= toLast(route);
      if (!findAll(body)) judge.errors = findAll.errors;
      return false;
    };
    return judge;
  };
};

/** Values within one another, of which each may be at fault. */
const MOST_VALUES = 1_000;

function isLarge(body: unknown): boolean {
  const rest = [body];
  let left = MOST_VALUES;
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const members = typeof next === "object" && next !== null ? Object.values(next) : [];
    left -= members.length;
    if (left < 0) return true;
    rest.push(...members);
  }
  return false;
}

const buildSerializer = SerializerSelector() as unknown as Compiler;

/** An answer whose schema names no members is written as it is, at half of what a walk through its members costs. */
const writeOpenPlainly: Compiler = (externals, options) => {
  const build = buildSerializer(externals, options);
  return (route) => (isOpen(route.schema) ? (JSON.stringify as Compiled) : build(route));
};

function isOpen(schema: unknown): boolean {
  const { type, additionalProperties, properties, allOf, anyOf, oneOf, $ref } = schema as Record<string, unknown>;
  const narrower = [properties, allOf, anyOf, oneOf, $ref].some((keyword) => keyword !== undefined);
  return type === "object" && additionalProperties === true && !narrower;
}
