import type { FastifyInstance, FastifyRequest } from "fastify";
import { refuse } from "../errors.ts";
import { malformed } from "./error-reply.ts";
import { readForm } from "./parameters.ts";

/** Objects and arrays within one another. */
const DEPTH_LIMIT = 32;

/** What JSON can spell and no form: U+0000, and half of a surrogate pair, which has no UTF-8. */
export const UNFIT = /[\0\p{Surrogate}]/u;
export const UNFIT_SAID = "must not contain U+0000 or half of a surrogate pair";
/** UTF-8 holds neither as it is. */
const MAY_BE_UNFIT = /\\u(?:0000|d[89a-f])/i;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Body parsers: JSON everywhere, forms where a route declares `form`. An empty body is no body, under any Content-Type,
 * because generated clients send one with every POST.
 */
export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const asBuffer = { parseAs: "buffer" } as const;
  app.addContentTypeParser(
    /^application\/(json|[\w.+-]+\+json)(?:\s*;|$)/i,
    asBuffer,
    async (_request: FastifyRequest, body: Buffer) => (body.length === 0 ? undefined : parseJson(body)),
  );
  app.addContentTypeParser(
    /^application\/x-www-form-urlencoded(?:\s*;|$)/i,
    asBuffer,
    async (request: FastifyRequest, body: Buffer) => {
      if (body.length === 0) return undefined;
      if (!request.routeOptions.config.form) throw refuse("unsupported_media_type");
      return readForm(body.toString("latin1"));
    },
  );
  app.addContentTypeParser("*", asBuffer, async (_request: FastifyRequest, body: Buffer) => {
    if (body.length > 0) throw refuse("unsupported_media_type");
    return undefined;
  });
}

/** No body is one in which everything is left out: whoever may not do that is told of each field. */
export function standIn(request: FastifyRequest): void {
  const { type } = (request.routeOptions.schema?.body ?? {}) as { type?: string };
  if (type === "object") request.body ??= {};
}

function text(body: Buffer): string {
  try {
    return utf8.decode(body);
  } catch {
    throw malformed([{ path: "body", code: "encoding", message: "is not UTF-8" }]);
  }
}

function parseJson(body: Buffer): unknown {
  const source = text(body);
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    throw malformed([{ path: "body", code: "json", message: "is not valid JSON" }]);
  }
  if (isDeep(value)) throw malformed([{ path: "body", code: "too_deep", message: "is nested too deeply" }]);
  if (MAY_BE_UNFIT.test(source) && isUnfit(value)) {
    throw malformed([{ path: "body", code: "encoding", message: UNFIT_SAID }]);
  }
  return value;
}

/** Whoever walks a value that is nested without end, to check or to write it, runs out of stack. */
export function isDeep(value: unknown, left = DEPTH_LIMIT): boolean {
  if (typeof value !== "object" || value === null) return false;
  return left === 0 || Object.values(value).some((member) => isDeep(member, left - 1));
}

function isUnfit(value: unknown): boolean {
  if (typeof value === "string") return UNFIT.test(value);
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([name, member]) => UNFIT.test(name) || isUnfit(member));
}
