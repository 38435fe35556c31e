import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { type ErrorCode, errorDescription, type Fault, Refusal, refuse } from "../errors.ts";
import { accepts } from "./accepts.ts";
import { type Surface, statusOn } from "./contract.ts";
import { faultsOf, MOST_FAULTS } from "./faults.ts";

/** How an error looks where a browser is looking; handed in by whoever has pages. */
export type ErrorPage = (
  refusal: Refusal,
  status: number,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<void>;

declare module "fastify" {
  interface FastifyInstance {
    errorPage: ErrorPage | null;
    /** A challenge of the Bearer or DPoP scheme with what whoever is refused needs to come back; handed in by the bearer hook. */
    finishChallenge: ((said: string, request: FastifyRequest) => string) | null;
  }
}

const refusals = new WeakMap<FastifyRequest, ErrorCode>();

/** The code that a request was refused with, for its log line and the figures. */
export function refusalOf(request: FastifyRequest): ErrorCode | undefined {
  return refusals.get(request);
}

/**
 * Notes what a request is refused with, also where a page says so and goes on: for the log, its line of the request and
 * the figures.
 */
export function noteRefusal(refusal: Refusal, request: FastifyRequest): void {
  refusals.set(request, refusal.code);
  logRefusal(refusal, request);
}

/** Whether a browser is looking, and there are pages to show it. */
export function wantsPage({ server, headers }: FastifyRequest): boolean {
  return Boolean(server.errorPage) && accepts(headers.accept, "text/html");
}

/**
 * The one place that writes errors to the wire, whatever threw them and wherever it was: as a page where that is wanted,
 * which only routes of pages do of themselves.
 */
export function errorReply(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  page = Boolean(request.routeOptions?.config?.page) && wantsPage(request),
): void {
  const refusal = toRefusal(error);
  noteRefusal(refusal, request);
  const { retry_after, headers } = refusal.options;
  if (retry_after !== undefined) reply.header("retry-after", String(Math.max(1, Math.ceil(retry_after))));
  if (headers) reply.headers(headers);
  const said = challengeOf(refusal, request);
  if (said !== undefined) reply.header("www-authenticate", said);
  const { errorPage } = request.server;
  const status = statusOn(surfaceOf(request), refusal);
  const plainly = () =>
    reply
      .code(status)
      .header("cache-control", "no-store")
      .type("application/json; charset=utf-8")
      .serializer(JSON.stringify)
      .send(errorBody(surfaceOf(request), refusal, String(request.id)));
  if (errorPage && page) {
    errorPage(refusal, status, request, reply).catch((error: unknown) => {
      request.log.error({ request_id: request.id, err: error }, "a refusal could not be shown as a page");
      plainly();
    });
    return;
  }
  plainly();
}

/** What a client or a bearer that is refused learns: RFC 6749 §5.2, RFC 6750 §3. */
function challengeOf(refusal: Refusal, request: FastifyRequest): string | undefined {
  if (refusal.code === "invalid_client" && triedBasic(request)) return 'Basic realm="latchkey", charset="UTF-8"';
  const said = refusal.options.headers?.["www-authenticate"] ?? bearerError(refusal);
  if (!said || !/^(Bearer|DPoP) /.test(said)) return said;
  return request.server.finishChallenge?.(said, request) ?? said;
}

/**
 * Whose credentials belong in a form is not told of Basic, for which a browser would open its password window, nor of
 * anything else: libraries that find a challenge do not read which error it is.
 */
const triedBasic = (request: FastifyRequest): boolean =>
  surfaceOf(request) !== "oauth" || request.headers.authorization !== undefined;

/** Of what is refused after the bearer was let in as well. */
function bearerError({ code, message, options }: Refusal): string | undefined {
  if (code !== "insufficient_scope" && code !== "invalid_token") return undefined;
  const said = `Bearer realm="latchkey", error="${code}", error_description="${errorDescription(message)}"`;
  return options.scopes ? `${said}, scope="${options.scopes.join(" ")}"` : said;
}

/** Addresses of the standards' surface, for requests that never came to a route. */
const STANDARD = /^(?:\/v1\/accounts\/[^/]*\/oauth|(?:\/v1\/accounts\/[^/]*)?\/\.well-known)\//;

function surfaceOf(request: FastifyRequest): Surface {
  const declared = request.routeOptions?.config?.surface;
  if (declared) return declared;
  return STANDARD.test(request.raw.url ?? "") ? "oauth" : "account";
}

function errorBody(surface: Surface, refusal: Refusal, request_id: string): object {
  const { code, message, options } = refusal;
  const text = code === "internal_error" ? `${message} Request-Id: ${request_id}` : message;
  if (surface === "oauth")
    return { error: oauthCode(refusal), error_description: errorDescription(text), ...options.beside };
  const errors = options.errors?.slice(0, MOST_FAULTS);
  return { error: { code, message: text, ...(errors ? { errors } : {}) }, ...options.beside };
}

/** RFC 8628 §3.5, RFC 9449 §8 */
const spoken: readonly Refusal["code"][] = ["authorization_pending", "slow_down", "expired_token", "use_dpop_nonce"];

const oauth_codes: Partial<Record<Refusal["code"], string>> = {
  internal_error: "server_error",
  device_denied: "access_denied",
  // No fault of the credentials: whoever is told invalid_client throws its tokens away.
  client_unreachable: "temporarily_unavailable",
};

/** RFC 6749 §5.2 knows fewer words; the rest is a fault of the request. */
function oauthCode({ code, status }: Refusal): string {
  const known = oauth_codes[code];
  if (known) return known;
  if (spoken.includes(code)) return code;
  return status === 400 && !/^(invalid|unsupported|unauthorized)_/.test(code) ? "invalid_request" : code;
}

function toRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const { code, statusCode, validation, validationContext, message } = error as Partial<FastifyError>;
  if (validation) return malformed(faultsOf(validation.slice(0, MOST_FAULTS), validationContext));
  switch (code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return refuse("payload_too_large");
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return refuse("unsupported_media_type");
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return refuse("invalid_request", { message: "The body is shorter or longer than Content-Length says." });
    case "FST_ERR_BAD_URL":
      return malformed([{ path: "path", code: "encoding", message: "is not valid percent-encoded UTF-8" }]);
    case "FST_ERR_MAX_PARAM_LENGTH":
      return refuse("uri_too_long");
    default:
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return refuse("invalid_request", message ? { detail: message } : {});
  }
  return refuse("internal_error", { cause: error });
}

/** 400 with every fault at once, the first ones spelled out in the sentence. */
export function malformed(faults: readonly Fault[]): Refusal {
  const sentence = faults
    .slice(0, 3)
    .map(({ path, message }) => `${path} ${message}`)
    .join("; ");
  return refuse("invalid_request", { message: `${sentence}.`, errors: faults });
}

function logRefusal(refusal: Refusal, request: FastifyRequest): void {
  const { code, status, message } = refusal;
  const { detail, cause } = refusal.options;
  const request_id = request.id;
  if (status >= 500) request.log.error({ request_id, err: cause ?? refusal, detail }, message);
  else if (cause === undefined && code !== "upstream_login_failed")
    request.log.debug({ request_id, code, detail }, "refused");
  else request.log.warn({ request_id, code, detail, cause: namesOf(cause) }, "refused");
}

/** An error and those that it carries, the outermost first: by code or kind, since a message may hold what somebody sent. */
function namesOf(error: unknown): readonly string[] {
  const names: string[] = [];
  for (let one = error; one instanceof Error && names.length < 5; one = one.cause) {
    const { code } = one as { code?: unknown };
    names.push(typeof code === "string" ? code : one.name);
  }
  return names;
}
