import type { IncomingMessage, ServerResponse } from "node:http";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
  type RawServerDefault,
} from "fastify";
import { type Refusal, refuse } from "../errors.ts";
import { randomForIds } from "../secrets/random.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { RequestSpan, Tracing } from "../telemetry/tracing.ts";
import { nameType, readBodies, standIn } from "./body.ts";
import { checkContract } from "./check-contract.ts";
import { lateCompilers } from "./compile-late.ts";
import { answerPreflights, openToBrowsers } from "./cors.ts";
import { keepDeclared } from "./declared.ts";
import { drainConnections } from "./drain.ts";
import { errorReply, refusalOf } from "./error-reply.ts";
import { readForwarded } from "./forwarded.ts";
import { gatherAnswers } from "./gather-answers.ts";
import { answerHeads } from "./heads.ts";
import { noSuchAddress } from "./no-such-address.ts";
import { otherAddress, readOtherSpellings } from "./other-spellings.ts";
import { checkParameters, leaveOutEmpty, readForm } from "./parameters.ts";
import { refuseEarly } from "./refuse-early.ts";
import { countUnread } from "./unread.ts";

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
/** Milliseconds in which something moves on a connection, or it ends: whoever reads no further holds a whole answer. */
const STILL = 60_000;
/** Seconds for which a browser remembers to come by https. */
const YEAR = 31_536_000;
/** Bytes; what an address leaves is for the headers. Beyond it Node answers, which does not say what was too long. */
const HEAD_LIMIT = 64 * 1024;

const OF_NODE = {
  headersTimeout: HEADERS_TIMEOUT,
  maxHeaderSize: HEAD_LIMIT,
  connectionsCheckingInterval: 1_000,
  // See `hostFault`: Node's refusal has no id and no line in the log.
  requireHostHeader: false,
};

/**
 * The HTTP server without routes: strict reading of queries and bodies, request ids, the log line, CORS, and one error reply
 * for everything that can go wrong before, in and after a handler.
 */
export function openHttp({ logger, trustProxy, metrics, secure, tracing, gather = true }: HttpOptions): App {
  const compilers = lateCompilers();
  const early = refuseEarly(logger);
  const app = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    // A logger a request, made only to add an id that our two lines add themselves, would cost more than a line.
    childLoggerFactory: (parent) => parent,
    trustProxy,
    bodyLimit: BODY_LIMIT,
    routerOptions: {
      maxParamLength: 512,
      querystringParser: readForm,
      caseSensitive: true,
      ignoreTrailingSlash: false,
    },
    genReqId: () => randomForIds(12, "base64url"),
    requestIdHeader: false,
    exposeHeadRoutes: true,
    rewriteUrl(request) {
      if (trustProxy) readForwarded(request as IncomingMessage);
      return otherAddress(request.url ?? "/");
    },
    forceCloseConnections: "idle",
    return503OnClosing: false,
    requestTimeout: REQUEST_TIMEOUT,
    connectionTimeout: STILL,
    http: OF_NODE,
    schemaController: { compilersFactory: compilers.factory },
    ajv: { customOptions: { coerceTypes: true, allErrors: true, removeAdditional: false, useDefaults: true } },
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      begin(request, reply, secure);
      openToBrowsers(reply);
      // No hook sees these requests.
      reply.raw.once("close", () => recordRequest(metrics, request, reply));
      errorReply(error, request, reply);
    },
    clientErrorHandler: early.garbage,
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.decorate("errorPage", null);
  app.decorate("finishChallenge", null);
  app.setErrorHandler(errorReply);
  app.setNotFoundHandler(noSuchAddress);
  app.server.on("checkExpectation", early.expectation);
  countUnread(app);
  if (gather) gatherAnswers(app);
  drainConnections(app as App);
  if (tracing) traceRequests(app as App, tracing);
  checkContract(app);
  keepDeclared(app);
  readOtherSpellings(app);
  compilers.compileOnListen(app);
  readBodies(app);
  answerPreflights(app);
  app.addHook("onRequest", (request, reply, done) => {
    begin(request, reply, secure);
    done(hostFault(request));
  });
  app.addHook("preValidation", (request, _reply, done) => {
    if (request.routeOptions.config.surface === "oauth") leaveOutEmpty(request);
    const fault = checkParameters(request);
    standIn(request);
    done(fault);
  });
  app.addHook("preHandler", answerHeads);
  app.addHook("onResponse", (request, reply, done) => {
    recordRequest(metrics, request, reply);
    done();
  });
  return app as App;
}

function begin(request: FastifyRequest, reply: FastifyReply, secure: boolean): void {
  // What is empty was not sent: proxies that take a header away may write it so.
  if (request.headers.authorization === "") request.headers.authorization = undefined;
  nameType(request);
  reply.header("request-id", request.id);
  reply.header("x-content-type-options", "nosniff");
  // RFC 6797 §6.1; of this host alone, since hosts below it may be somebody else's.
  if (secure) reply.header("strict-transport-security", `max-age=${YEAR}`);
}

/** RFC 9112 §3.2: of the two that read two hosts, each may read another; only HTTP/1.0 may do without one. */
function hostFault({ raw: { rawHeaders, httpVersion } }: FastifyRequest): Refusal | undefined {
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) if (/^host$/i.test(rawHeaders[at] ?? "")) hosts += 1;
  if (hosts === 1 || (hosts === 0 && httpVersion === "1.0")) return undefined;
  return refuse("invalid_request", { message: "One Host header is required." });
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
