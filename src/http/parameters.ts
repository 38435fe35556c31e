/** What a request asks with, read strictly: its path, its query, and a form in the place of a query. */
import type { FastifyRequest } from "fastify";
import { type Fault, refuse } from "../errors.ts";
import { malformed } from "./error-reply.ts";
import { parseStrict } from "./strict-form.ts";

/** Characters of an address. A `state` of the longest kind is 24 KiB, percent-encoded. */
const URL_LIMIT = 40 * 1024;

const faultsOfQuery = new WeakMap<object, readonly Fault[]>();

/** What is wrong with it is told by `checkParameters`, once the bearer was checked. */
export function readQuery(text: string): Record<string, string> {
  const { values, faults } = parseStrict(text);
  if (faults.length > 0) faultsOfQuery.set(values, faults);
  return values;
}

/**
 * The address's length, faults of its encoding, and parameters that came as a form instead. Runs after the bearer was
 * checked.
 */
export function checkParameters(request: FastifyRequest): Error | undefined {
  if ((request.raw.url ?? "").length > URL_LIMIT) return refuse("uri_too_long");
  const query = request.query as Record<string, string>;
  const faults = faultsOfPath(request).concat(faultsOfQuery.get(query) ?? []);
  if (request.routeOptions.config.form === "query" && request.body !== undefined) {
    const body = (request.body ?? {}) as Record<string, unknown>;
    if (!isForm(request) && Object.keys(body).length > 0) return refuse("unsupported_media_type");
    for (const [name, value] of Object.entries(body)) {
      if (name in query)
        faults.push({ path: name, code: "repeated", message: "must not be in the query and in the body" });
      else query[name] = String(value);
    }
    request.body = undefined;
  }
  return faults.length > 0 ? malformed(faults) : undefined;
}

/** What was sent without a value was not sent (RFC 6749 §3.1, §3.2). */
export function leaveOutEmpty(request: FastifyRequest): void {
  for (const values of [request.query, isForm(request) ? request.body : undefined]) {
    const form = (values ?? {}) as Record<string, unknown>;
    for (const name of Object.keys(form)) if (form[name] === "") delete form[name];
  }
}

function faultsOfPath({ params }: FastifyRequest): readonly Fault[] {
  return Object.entries((params ?? {}) as Record<string, string>)
    .filter(([, value]) => value.includes("\0"))
    .map(([path]) => ({ path, code: "encoding", message: "must not contain U+0000" }));
}

function isForm(request: FastifyRequest): boolean {
  return /^application\/x-www-form-urlencoded/i.test(request.headers["content-type"] ?? "");
}
