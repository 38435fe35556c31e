/**
 * Everything Latchkey refuses, in one catalogue: the stable `code`, its status and the sentence a caller reads.
 * A room throws `refuse(code, …)`; only `http/error-reply` writes it to the wire.
 *
 * `message` is public. `detail` and `cause` are for the log alone and never leave the process.
 */

interface CatalogueEntry {
  readonly status: number;
  readonly message: string;
  /** What the caller can do about it; printed in the docs and in OpenAPI. */
  readonly remedy: string;
  /** May travel to a verified redirect_uri as `error=` (RFC 6749 §4.1.2.1). */
  readonly redirectable?: true;
}

export const catalogue = {
  invalid_request: {
    status: 400,
    message: "The request is malformed.",
    remedy: "Correct the fields listed in `errors`.",
    redirectable: true,
  },
  redirect_uri_required: {
    status: 400,
    message: "The client has several callbacks, so redirect_uri is required.",
    remedy: "Send redirect_uri, or register exactly one callback.",
  },
  redirect_uri_mismatch: {
    status: 400,
    message: "redirect_uri is not registered for this client.",
    remedy: "Register the exact address under the client's callbacks.",
  },
  unsupported_response_type: {
    status: 400,
    message: "This response_type is not enabled for the client.",
    remedy: "Add it to the client's response_types, or ask for one that is enabled.",
    redirectable: true,
  },
  invalid_verification_code: {
    status: 400,
    message: "The verification code is not valid.",
    remedy: "Ask the person to check the code, or send a new one.",
  },
  verification_code_used: {
    status: 400,
    message: "The verification code has been used.",
    remedy: "Send a new code.",
  },
  verification_code_expired: {
    status: 400,
    message: "The verification code has expired.",
    remedy: "Send a new code.",
  },
  ident_required: {
    status: 400,
    message: "A numeric code is accepted only together with what it was sent for.",
    remedy: "Send ident_type and ident, or login_session_id, beside the code.",
  },
  invalid_request_object: {
    status: 400,
    message: "The request object is not valid.",
    remedy: "Sign it with a key that the client registered, for this issuer, with an expiry.",
    redirectable: true,
  },
  invalid_redirect_uri: {
    status: 400,
    message: "This redirect URI is not allowed.",
    remedy: "Name https addresses, loopback addresses, or private-use schemes with a dot.",
  },
  invalid_client_metadata: {
    status: 400,
    message: "The client's metadata is not valid.",
    remedy: "See the message.",
  },
  invalid_grant: {
    status: 400,
    message: "The grant is invalid, expired, revoked or was issued to another client.",
    remedy: "Start the flow again.",
  },
  upstream_login_failed: {
    status: 400,
    message: "The external authorization server did not confirm this login.",
    remedy: "See the message; begin the login again.",
  },
  client_unreachable: {
    status: 400,
    message: "The client's document or keys do not answer just now.",
    remedy:
      "Ask again after Retry-After seconds, with the same credentials; see that the address answers. `oauth/*` says `temporarily_unavailable`.",
  },
  authorization_pending: {
    status: 400,
    message: "Nobody has allowed the device yet.",
    remedy: "Ask again after the interval.",
  },
  slow_down: {
    status: 400,
    message: "The device asks too often.",
    remedy: "Wait five seconds longer between requests from now on.",
  },
  device_denied: { status: 400, message: "The device was refused.", remedy: "Begin again with a new device code." },
  expired_token: {
    status: 400,
    message: "The device code has expired.",
    remedy: "Begin again with a new device code.",
  },
  invalid_dpop_proof: {
    status: 400,
    message: "The DPoP proof is not valid.",
    remedy: "Make a new proof for this request, with a new jti and the current time.",
  },
  use_dpop_nonce: {
    status: 400,
    message: "The DPoP proof needs this server's nonce.",
    remedy: "Make it again with the nonce in the header DPoP-Nonce.",
  },
  unsupported_grant_type: {
    status: 400,
    message: "This grant_type is not supported here.",
    remedy: "Use one of the grant types that the endpoint lists.",
  },
  invalid_scope: {
    status: 400,
    message: "A requested scope is unknown or exceeds the grant.",
    remedy: "Ask only for scopes that the client's grant holds.",
    redirectable: true,
  },
  invalid_target: {
    status: 400,
    message: "The requested resource is unknown or not granted to the client.",
    remedy: "Grant the client that audience, or ask for another.",
    redirectable: true,
  },
  invalid_token: {
    status: 401,
    message: "The access token is missing, malformed, expired, revoked or meant for somebody else.",
    remedy: "Get a new access token for this account and send it as Authorization: Bearer.",
  },
  invalid_client: {
    status: 401,
    message: "Client authentication failed.",
    remedy: "Check client_id and client_secret.",
  },
  unauthorized_client: {
    status: 403,
    message: "The client is unknown or holds no grant for this.",
    remedy:
      "Create the client, or a client grant for the audience with the right type, or list the calling page under its allowed_origins.",
    redirectable: true,
  },
  insufficient_scope: {
    status: 403,
    message: "The access token does not allow this.",
    remedy: "Use a token that holds one of the scopes the operation lists.",
  },
  user_not_linked: {
    status: 403,
    message: "Nobody here is linked to this login of the external server.",
    remedy: "Let the client sign people up, or list the address's domain in the grant's oidc.trusted_domains.",
  },
  access_denied: {
    status: 403,
    message: "The request was denied.",
    remedy: "See the message.",
    redirectable: true,
  },
  mfa_required: {
    status: 403,
    message: "A second factor is required.",
    remedy: "Continue at auth/mfa/challenge with the mfa_token beside this error.",
  },
  not_found: { status: 404, message: "There is no such resource.", remedy: "Check the path and the id." },
  method_not_allowed: {
    status: 405,
    message: "The resource does not support this method.",
    remedy: "Use one of the methods in the Allow header.",
  },
  payload_too_large: { status: 413, message: "The request body is too large.", remedy: "Send less." },
  uri_too_long: {
    status: 414,
    message: "The request address is too long.",
    remedy: "Send the parameters in a form body.",
  },
  unsupported_media_type: {
    status: 415,
    message: "The Content-Type is not supported here.",
    remedy: "Send application/json or application/x-www-form-urlencoded, as the operation says.",
  },
  too_many_attempts: {
    status: 429,
    message: "Too many wrong attempts.",
    remedy: "Wait as long as Retry-After says, or use the code in the message that was sent to the person.",
  },
  too_many_requests: { status: 429, message: "Too many requests.", remedy: "Wait as long as Retry-After says." },
  internal_error: {
    status: 500,
    message: "The server failed.",
    remedy: "Report the Request-Id to the operator.",
  },
  temporarily_unavailable: {
    status: 503,
    message: "The service is temporarily unavailable.",
    remedy: "Try again as Retry-After says.",
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof catalogue;

/** One fault of a request: where it is, which rule it breaks, and a sentence about it. */
export interface Fault {
  readonly path: string;
  readonly code: string;
  readonly message: string;
}

export interface RefusalOptions {
  /** Replaces the catalogue's public sentence. */
  readonly message?: string;
  readonly errors?: readonly Fault[];
  /** The sentence without what it tells of the network behind this server: for strangers. */
  readonly bare?: string;
  /** Log only. */
  readonly detail?: string;
  /** Log only. */
  readonly cause?: unknown;
  /** Seconds; becomes the Retry-After header. */
  readonly retry_after?: number;
  /** A server that somebody named did not answer just now; for whoever refuses for it in words of their own. */
  readonly momentary?: true;
  /** Top-level members beside `error`, such as `mfa_token`. */
  readonly beside?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** What the token would need; named in the challenge of insufficient_scope. */
  readonly scopes?: readonly string[];
}

export class Refusal extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly options: RefusalOptions;

  constructor(code: ErrorCode, options: RefusalOptions = {}) {
    super(options.message ?? catalogue[code].message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "Refusal";
    this.code = code;
    this.status = catalogue[code].status;
    this.options = options;
  }
}

export function refuse(code: ErrorCode, options: RefusalOptions = {}): Refusal {
  return new Refusal(code, options);
}

/** 404 not_found, in a sentence. */
export function noSuch(what: "account" | "address" | "client" | "grant" | "login" | "role" | "user"): Refusal {
  return new Refusal("not_found", { message: `There is no such ${what}.` });
}

/** A refusal of one field: 400 invalid_request with a single entry in `errors`. */
export function refuseField(path: string, code: string, message: string): Refusal {
  return new Refusal("invalid_request", { message: `${path}: ${message}`, errors: [{ path, code, message }] });
}

/** For `catch`, where a refusal only means that there is none; any other error goes on as it is. */
export const unlessRefused =
  (code: ErrorCode) =>
  (error: unknown): undefined => {
    if (!(error instanceof Refusal) || error.code !== code) throw error;
  };

/** The message in the characters that an `error_description` may have (RFC 6749 §5.2, RFC 6750 §3). */
export function errorDescription(message: string): string {
  return message
    .replaceAll("…", "...")
    .replaceAll('"', "'")
    .replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, " ");
}
