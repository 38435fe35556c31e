/** What a request asks with, read strictly: its path, its query, and a form. */
import type { FastifyRequest } from "fastify";
import { type Fault, type Refusal, refuse } from "../errors.ts";
import type { RouteContract } from "./contract.ts";
import { namesIn } from "./declared.ts";
import { malformed } from "./error-reply.ts";
import { faultsOf, MOST_FAULTS } from "./faults.ts";
import { nameOne } from "./one-spelling.ts";
import { parseStrict, type StrictForm } from "./strict-form.ts";

/** Characters of an address. A `state` of the longest kind is 24 KiB, percent-encoded. */
const URL_LIMIT = 40 * 1024;

/** How a query or form was said, where something may be wrong with that. */
const said = new WeakMap<object, StrictForm>();

/** Reads a query or a form. What is wrong with it is told by `checkParameters`, once the bearer was checked. */
export function readForm(text: string): Record<string, string> {
  const form = parseStrict(text);
  if (form.faults.length > 0 || form.repeated) said.set(form.values, form);
  return form.values;
}

/** All that a parameter of a query says that was read here, in the order in which it came. */
export function valuesOf(query: object, name: string): readonly string[] {
  return said.get(query)?.repeated?.get(name) ?? [(query as Record<string, string>)[name] ?? ""];
}

/** What is wrong with the parameters of a request whose route tells that itself. */
const kept = new WeakMap<FastifyRequest, readonly Fault[]>();

/** … beside what its schema finds, for routes that have `attachValidation`. */
export function parameterFaults(request: FastifyRequest): readonly Fault[] {
  const { validation = [], validationContext } = request.validationError ?? {};
  const found = validation.length > 0 ? faultsOf(validation.slice(0, MOST_FAULTS), validationContext) : [];
  return [...(kept.get(request) ?? []), ...found];
}

/** 400 with all of them; in a word of its own where each is that a parameter names several APIs. */
export function refuseParameters(faults: readonly Fault[]): Refusal {
  const refusal = malformed(faults);
  if (!faults.every(({ code }) => code === "invalid_target")) return refusal;
  return refuse("invalid_target", { message: refusal.message });
}

/**
 * The address's length, faults of its encoding and of a form's, parameters that came as a form instead, and those that
 * came more than once, which none may that the route declares, save lists (RFC 6749 §3.1 and its erratum 5708). Runs after
 * the bearer was checked.
 */
export function checkParameters(request: FastifyRequest): Error | undefined {
  if ((request.raw.url ?? "").length > URL_LIMIT) return refuse("uri_too_long");
  const query = request.query as Record<string, string>;
  const { config, schema, attachValidation } = request.routeOptions;
  const faults = faultsOfPath(request).concat(faultsIn(query, schema?.querystring, config));
  const instead = config.form === "query" && request.body !== undefined;
  if (isForm(request)) faults.push(...faultsIn(request.body, instead ? schema?.querystring : schema?.body, config));
  if (instead) {
    const body = (request.body ?? {}) as Record<string, unknown>;
    if (!isForm(request) && Object.keys(body).length > 0) return refuse("unsupported_media_type");
    for (const [name, value] of Object.entries(body)) {
      if (!(name in query)) query[name] = String(value);
      else if (Object.hasOwn(namesIn(schema?.querystring), name))
        faults.push({ path: name, code: "repeated", message: "must not be in the query and in the body" });
    }
    request.body = undefined;
  }
  if (faults.length === 0) return undefined;
  if (!attachValidation) return refuseParameters(faults);
  kept.set(request, faults);
  return undefined;
}

function faultsIn(values: unknown, schema: unknown, config: Partial<RouteContract>): readonly Fault[] {
  const { targets = [], surface } = config;
  const read = said.get(values as object);
  if (!read) return [];
  const declared = namesIn(schema);
  const once = (name: string) => Object.hasOwn(declared, name) && declared[name]?.type !== "array";
  const repeated = [...(read.repeated ?? [])].filter(([name]) => once(name));
  const several = repeated.flatMap(([path, all]): readonly Fault[] => {
    // What came without a value was sent on the account API alone (see leaveOutEmpty).
    const sent = surface === "oauth" ? all.filter((value) => value !== "") : all;
    if (sent.length < 2) return [];
    if (!targets.includes(path)) return [{ path, code: "repeated", message: "must not be repeated" }];
    return nameOne(sent) ? [] : [{ path, code: "invalid_target", message: "must name one API alone" }];
  });
  // Parameters that nobody here knows are ignored (RFC 6749 §3.1, §3.2), however they are written; nothing was read behind too many.
  const all = surface !== "oauth" || read.faults.length === MOST_FAULTS;
  const heard = read.faults.filter(({ path }) => all || Object.hasOwn(declared, path));
  return heard.concat(several);
}

/** What was sent without a value was not sent (RFC 6749 §3.1, §3.2). */
export function leaveOutEmpty(request: FastifyRequest): void {
  for (const values of [request.query, isForm(request) ? request.body : undefined]) {
    const form = (values ?? {}) as Record<string, unknown>;
    for (const name of Object.keys(form)) if (form[name] === "") delete form[name];
  }
}

function faultsOfPath({ params }: FastifyRequest): Fault[] {
  return Object.entries((params ?? {}) as Record<string, string>)
    .filter(([, value]) => value.includes("\0"))
    .map(([path]) => ({ path, code: "encoding", message: "must not contain U+0000" }));
}

function isForm(request: FastifyRequest): boolean {
  return /^application\/x-www-form-urlencoded/i.test(request.headers["content-type"] ?? "");
}
