import type { FastifyInstance, FastifyRequest } from "fastify";
import { refuse } from "../errors.ts";
import { malformed } from "./error-reply.ts";
import { readJson } from "./json.ts";
import { readForm } from "./parameters.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Body parsers: JSON everywhere, forms where a route declares `form`. An empty body is no body, under any Content-Type,
 * because generated clients send one with every POST.
 */
export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const add = (type: string | RegExp, read: (body: Buffer, request: FastifyRequest) => unknown) =>
    app.addContentTypeParser(type, { parseAs: "buffer" }, async (request: FastifyRequest, body: Buffer) => {
      if (body.length === 0) return undefined;
      checkCoding(request);
      return read(body, request);
    });
  add(/^application\/(json|[\w.+-]+\+json)(?:\s*;|$)/i, parseJson);
  add(/^application\/x-www-form-urlencoded(?:\s*;|$)/i, (body, request) => {
    if (!request.routeOptions.config.form) throw refuse("unsupported_media_type");
    return readForm(body.toString("latin1"));
  });
  add("*", () => {
    throw refuse("unsupported_media_type");
  });
}

/** What is compressed is not read as if it were not (RFC 9110 §8.4); which codings are taken, §12.5.3. */
function checkCoding({ headers }: FastifyRequest): void {
  if (/^\s*(identity\s*)?$/i.test(headers["content-encoding"] ?? "")) return;
  throw refuse("unsupported_media_type", {
    message: "Content-Encoding: only identity is supported.",
    headers: { "accept-encoding": "identity" },
  });
}

const TYPE = /^\s*[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(?:;|$)/;

/**
 * What names no type is bytes of some type (RFC 9110 §8.3), which is no fault where there are none: Fastify would refuse it
 * before a body is looked for.
 */
export function nameType({ headers }: FastifyRequest): void {
  const type = headers["content-type"];
  if (type !== undefined && !TYPE.test(type)) headers["content-type"] = "application/octet-stream";
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
  const { value, fault } = readJson(text(body));
  if (fault) throw malformed([{ path: "body", ...fault }]);
  return value;
}
