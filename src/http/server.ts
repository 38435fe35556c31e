import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
  type RawServerDefault,
} from "fastify";
import { type Fault, refuse } from "../errors.ts";
import { randomForIds } from "../secrets/random.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { RequestSpan, Tracing } from "../telemetry/tracing.ts";
import { readBodies } from "./body.ts";
import { checkContract } from "./check-contract.ts";
import { lateCompilers } from "./compile-late.ts";
import { answerPreflights, openToBrowsers } from "./cors.ts";
import { drainConnections } from "./drain.ts";
import { errorReply, malformed, refusalOf } from "./error-reply.ts";
import { readForwarded } from "./forwarded.ts";
import { gatherAnswers } from "./gather-answers.ts";
import { noSuchAddress } from "./no-such-address.ts";
import { parseStrict } from "./strict-form.ts";

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

export interface HttpOptions {
  readonly logger: FastifyBaseLogger;
  /** Decides whether a peer's `X-Forwarded-*` and `Forwarded` count. */
  readonly trustProxy: false | ((address: string) => boolean);
  readonly metrics: Metrics;
  /** The outside world comes by https. */
  readonly secure: boolean;
  readonly tracing?: Tracing | undefined;
  /** Answers of one turn of the event loop leave together; default true. */
  readonly gather?: boolean;
}

const BODY_LIMIT = 64 * 1024;
/** Milliseconds in which a request has to be here, from its first byte to its last. */
const REQUEST_TIMEOUT = 30_000;
/** … and its head. */
const HEADERS_TIMEOUT = 15_000;
/** Seconds for which a browser remembers to come by https. */
const YEAR = 31_536_000;
/** Characters of an address. A `state` of the longest kind is 24 KiB, percent-encoded. */
const URL_LIMIT = 40 * 1024;
/** Bytes; what an address leaves is for the headers. Beyond it Node answers, which does not say what was too long. */
const HEAD_LIMIT = 64 * 1024;
const faultsOfQuery = new WeakMap<object, readonly Fault[]>();

/**
 * The HTTP server without routes: strict reading of queries and bodies, request ids, the log line, CORS, and one error reply
 * for everything that can go wrong before, in and after a handler.
 */
export function openHttp({ logger, trustProxy, metrics, secure, tracing, gather = true }: HttpOptions): App {
  const compilers = lateCompilers();
  const app = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    // A logger a request, made only to add an id that our two lines add themselves, would cost more than a line.
    childLoggerFactory: (parent) => parent,
    trustProxy,
    bodyLimit: BODY_LIMIT,
    routerOptions: {
      maxParamLength: 512,
      querystringParser: readQuery,
      caseSensitive: true,
      ignoreTrailingSlash: false,
    },
    genReqId: () => randomForIds(12, "base64url"),
    requestIdHeader: false,
    exposeHeadRoutes: true,
    rewriteUrl(request) {
      if (trustProxy) readForwarded(request as IncomingMessage);
      return request.url ?? "/";
    },
    forceCloseConnections: "idle",
    return503OnClosing: false,
    requestTimeout: REQUEST_TIMEOUT,
    http: { headersTimeout: HEADERS_TIMEOUT, maxHeaderSize: HEAD_LIMIT, connectionsCheckingInterval: 1_000 },
    schemaController: { compilersFactory: compilers.factory },
    ajv: { customOptions: { coerceTypes: true, allErrors: true, removeAdditional: false, useDefaults: true } },
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      begin(request, reply, secure);
      openToBrowsers(reply);
      // No hook sees these requests.
      reply.raw.once("close", () => recordRequest(metrics, request, reply));
      errorReply(error, request, reply);
    },
    clientErrorHandler: refuseGarbage,
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.decorate("errorPage", null);
  app.decorate("finishChallenge", null);
  app.setErrorHandler(errorReply);
  app.setNotFoundHandler(noSuchAddress);
  app.server.on("checkExpectation", refuseExpectation);
  if (gather) gatherAnswers(app);
  drainConnections(app as App);
  if (tracing) traceRequests(app as App, tracing);
  checkContract(app);
  compilers.compileOnListen(app);
  readBodies(app);
  answerPreflights(app);
  app.addHook("onRequest", (request, reply, done) => {
    begin(request, reply, secure);
    done();
  });
  app.addHook("preValidation", (request, _reply, done) => {
    if (request.routeOptions.config.surface === "oauth") leaveOutEmpty(request);
    done(checkParameters(request));
  });
  app.addHook("onResponse", (request, reply, done) => {
    recordRequest(metrics, request, reply);
    done();
  });
  return app as App;
}

function begin(request: FastifyRequest, reply: FastifyReply, secure: boolean): void {
  reply.header("request-id", request.id);
  reply.header("x-content-type-options", "nosniff");
  // RFC 6797 §6.1; of this host alone, since hosts below it may be somebody else's.
  if (secure) reply.header("strict-transport-security", `max-age=${YEAR}`);
}

function readQuery(text: string): Record<string, string> {
  const { values, faults } = parseStrict(text);
  if (faults.length > 0) faultsOfQuery.set(values, faults);
  return values;
}

/**
 * The address's length, faults of its encoding, and parameters that came as a form instead. Runs after the bearer was
 * checked.
 */
function checkParameters(request: FastifyRequest): Error | undefined {
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
function leaveOutEmpty(request: FastifyRequest): void {
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

/** One line a request, and its figures: by the route's pattern, never by its URL, which may hold a code. */
function recordRequest(metrics: Metrics, request: FastifyRequest, reply: FastifyReply): void {
  const { method } = request;
  const route = request.routeOptions.url ?? "none";
  const status = reply.statusCode;
  const code = refusalOf(request);
  metrics.observe({ method, route, status, milliseconds: reply.elapsedTime, refusal: code });
  // Probes and scrapes come every few seconds: what they say is worth a line when it is not that all is well.
  const level = request.routeOptions.config.surface === "system" && status < 400 ? "debug" : "info";
  const ms = Math.round(reply.elapsedTime * 10) / 10;
  // What is undefined is left out.
  const account_id = request.account_id || undefined;
  request.log[level]({ request_id: request.id, method, route, status, code, ms, account_id }, "request");
}

/** Everything a request does runs inside its span. */
function traceRequests(app: App, tracing: Tracing): void {
  const spans = new WeakMap<FastifyRequest, RequestSpan>();
  app.addHook("onRequest", (request, _reply, done) => {
    const span = tracing.startRequest(request.method, request.headers);
    spans.set(request, span);
    span.within(done);
  });
  app.addHook("onResponse", (request, reply, done) => {
    spans.get(request)?.end(request.routeOptions.url ?? "none", reply.statusCode);
    done();
  });
}

/** Node answers for us before there is a request: what it refuses has the shape of every other refusal. */
function refusalBefore(message: string): { readonly body: string; readonly id: string } {
  const body = JSON.stringify({ error: { code: "invalid_request", message } });
  return { body, id: randomBytes(12).toString("base64url") };
}

/** RFC 9110 §10.1.1: of expectations there is `100-continue`, and Node meets that one. */
function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const { body, id } = refusalBefore("Expect: only 100-continue is supported.");
  response.writeHead(417, { "content-type": "application/json; charset=utf-8", "request-id": id }).end(body);
}

/** What no handler ever sees: by the code of Node's error, a status and what the client did. */
const garbage: Readonly<Record<string, readonly [status: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "The request's headers are too large."],
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "The request took too long to arrive."],
};
const NOT_HTTP = ["400 Bad Request", "This is not valid HTTP."] as const;

/** What is not HTTP at all, or never ends, still gets an answer that says so. */
function refuseGarbage({ code = "" }: Error & { code?: string }, socket: Socket): void {
  if (code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const [status, message] = garbage[code] ?? NOT_HTTP;
  const { body, id } = refusalBefore(message);
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\nRequest-Id: ${id}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
