/**
 * Clients of the account API are written in many languages, and spell one request in many ways: ids in capitals, `null`
 * or an empty text for what is left out, `True`, `name[]`. Each is brought into the spelling that its route declares before it is
 * checked against that. What may be spelled otherwise is read off a route's schemas once. The standard surface is read as it stands.
 *
 * In: the schemas of a route's path, query and body. Out: a request that says the same in their words.
 */
import type { FastifyInstance, preValidationHookHandler, RouteOptions } from "fastify";
import { smallUuid } from "../secrets/uuid.ts";
import { valuesOf } from "./parameters.ts";

interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[] | undefined;
  readonly then?: { readonly required?: readonly string[] };
  readonly additionalProperties?: unknown;
  readonly "x-as-sent"?: boolean;
}

type Members = Record<string, unknown>;

/** What is meant; undefined where nothing is. Objects and lists are changed in place. */
type Reader = (value: unknown) => unknown;

export function readOtherSpellings(app: FastifyInstance): void {
  app.addHook("onRoute", (route: RouteOptions) => {
    if (route.config?.surface !== "account") return;
    const { params = {}, querystring = {}, body = {} } = route.schema ?? {};
    const [ofPath, ofQuery] = [params, querystring].map((schema) => readerOf(schema as Schema));
    const ofBody = readerOf(body as Schema, CHANGES.has(String(route.method)));
    const lists = listsIn(querystring as Schema);
    if (!ofPath && !ofQuery && !ofBody) return;
    const read: preValidationHookHandler = (request, _reply, done) => {
      ofPath?.(request.params);
      if (lists) gather(request.query as Members, lists);
      ofQuery?.(request.query);
      ofBody?.(request.body);
      done();
    };
    route.preValidation = [read, ...[route.preValidation ?? []].flat()];
  });
}

/** Methods of requests that change what is there: who sends nothing may mean to take it away. */
const CHANGES = new Set(["PUT", "PATCH"]);

/**
 * @param changes what says nothing is not left out.
 * @returns undefined where there is one spelling alone.
 */
export function readerOf(schema: Schema, changes = false): Reader | undefined {
  const { anyOf, format, items, type } = schema;
  if (anyOf) return inTurn(anyOf.flatMap((one) => readerOf(one, changes) ?? []));
  if (items) return eachBy(readerOf(items, changes));
  if (type === "boolean") return readBoolean;
  if (format?.startsWith("uuid")) return readUuid;
  return readerOfMembers(schema, changes);
}

/** An object that takes nothing but what it declares is taken at its word: `null` may be meant to do something there. */
function readerOfMembers(
  { additionalProperties, properties, required = [], then }: Schema,
  changes: boolean,
): Reader | undefined {
  if (!properties || additionalProperties === false) return undefined;
  const needed = [...required, ...(then?.required ?? [])];
  const readers = new Map<string, Reader>();
  for (const [name, of] of Object.entries(properties)) {
    const kept = changes || of["x-as-sent"] === true;
    const reader = kept ? readerOf(of, changes) : readerOfMember(of, needed.includes(name) && of.default === undefined);
    if (reader) readers.set(name, reader);
  }
  return (value) => {
    if (typeof value !== "object" || value === null) return value;
    const members = value as Members;
    for (const name of Object.keys(members)) {
      const reader = readers.get(name);
      if (!reader) continue;
      const said = members[name];
      const meant = reader(said);
      if (meant === undefined) delete members[name];
      else if (meant !== said) members[name] = meant;
    }
    return value;
  };
}

/** Nothing is said by what a member does not take; that one which has to be there is empty is told. */
function readerOfMember(of: Schema, needed: boolean): Reader | undefined {
  const null_says = takes(of, null);
  const empty_says = needed || takes(of, "");
  const reader = readerOf(of);
  if (null_says && empty_says) return reader;
  return (value) => {
    if ((value === null && !null_says) || (value === "" && !empty_says)) return undefined;
    return reader ? reader(value) : value;
  };
}

function takes(schema: Schema, value: "" | null): boolean {
  const { anyOf, enum: values, const: one, type, minLength = 0, pattern } = schema;
  if (anyOf) return anyOf.some((alternative) => takes(alternative, value));
  if (values) return values.includes(value);
  if (one !== undefined) return one === value;
  if (value === null || type !== "string") return type === undefined || (value === null && type === "null");
  return minLength === 0 && (pattern === undefined || new RegExp(pattern, "u").test(value));
}

const booleans = new Map(Object.entries({ true: "true", false: "false", 1: "true", 0: "false" }));

/** As text, which is read on where the request is made of text: JSON has booleans of its own. */
const readBoolean: Reader = (value) =>
  typeof value === "string" ? (booleans.get(value.toLowerCase()) ?? value) : value;

/** RFC 9562 §4: upper and lower case do not matter. */
const readUuid: Reader = (value) => (typeof value === "string" ? smallUuid(value) : value);

function eachBy(reader: Reader | undefined): Reader | undefined {
  if (!reader) return undefined;
  return (value) => {
    if (Array.isArray(value)) for (const [index, item] of value.entries()) value[index] = reader(item);
    return value;
  };
}

function inTurn([first, ...others]: readonly Reader[]): Reader | undefined {
  if (!first) return undefined;
  return (value) => others.reduce((read, reader) => reader(read), first(value));
}

/** The part of an address of the account API that every client puts together itself. */
const BASE = /^\/+v1\/+account(?:s\/+[^/]+\/+(?:auth|management|customers|signup))?(?:\/+|$)/;

/** An address whose slashes are as they are declared: one ends a base, and often begins what follows, or ends the whole. */
export function otherAddress(url: string): string {
  const end = url.indexOf("?");
  const path = end < 0 ? url : url.slice(0, end);
  if (!path.endsWith("/") && !path.includes("//")) return url;
  const [base] = BASE.exec(path) ?? [];
  if (base === undefined) return url;
  const whole = base.replaceAll(/\/+/g, "/") + path.slice(base.length);
  return whole.replace(/\/$/, "") + url.slice(path.length);
}

/** The parameters of a query that are lists. */
function listsIn({ properties = {} }: Schema): ReadonlySet<string> | undefined {
  const names = Object.keys(properties).filter((name) => properties[name]?.type === "array");
  return names.length > 0 ? new Set(names) : undefined;
}

/** Lists come as `name=a&name=b`, `name[]=a&name[]=b` or `name[0]=a&name[1]=b`; one without entries was not sent. */
function gather(query: Members, lists: ReadonlySet<string>): void {
  const gathered = new Map<string, string[]>();
  for (const sent of Object.keys(query)) {
    const name = sent.replace(/\[\d*\]$/, "");
    if (!lists.has(name)) continue;
    const values = gathered.get(name) ?? [];
    gathered.set(name, values);
    for (const value of valuesOf(query, sent)) if (value !== "") values.push(value);
    delete query[sent];
  }
  for (const [name, values] of gathered) if (values.length > 0) query[name] = values;
}
