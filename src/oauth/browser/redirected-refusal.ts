import { catalogue, type ErrorCode, Refusal, refuse } from "../../errors.ts";
import type { ResponseMode } from "./authorization-request.ts";

/** Where a refused request may be told to the client. */
export interface AnswerTo {
  readonly redirect_uri: string;
  readonly response_mode: ResponseMode;
  readonly state?: string | undefined;
  /** BCP 47: in which languages the person reads what is shown on the way. */
  readonly ui_locales?: readonly string[] | undefined;
  /** The uuid of a client that nobody of the account checked: a browser is not sent there before its person has agreed. */
  readonly unchecked?: string | undefined;
}

/**
 * Errors of the authorization endpoint that only redirects know (OpenID Connect Core §3.1.2.6, and the unmet
 * requirements of OpenID Connect's own extension for them).
 */
export type RedirectError =
  | "login_required"
  | "consent_required"
  | "interaction_required"
  | "account_selection_required"
  | "unmet_authentication_requirements"
  | "request_not_supported"
  | "request_uri_not_supported"
  | "invalid_request_uri";

/** A refusal that goes to a redirect_uri which is known to be the client's. */
export class RedirectedRefusal extends Error {
  readonly error: ErrorCode | RedirectError;
  readonly to: AnswerTo;

  constructor(to: AnswerTo, error: ErrorCode | RedirectError, description?: string) {
    super(description ?? (Object.hasOwn(catalogue, error) ? catalogue[error as ErrorCode].message : error));
    this.name = "RedirectedRefusal";
    this.error = error;
    this.to = to;
  }
}

/** The device that a login was for was answered before, or gave up. It is told apart from one that a person turns away. */
export const waitsNoMore = (to: AnswerTo) => new RedirectedRefusal(to, "invalid_request", "The device waits no more.");

/** In the words of the server itself: the client reads it, or the person, but nobody is sent anywhere. */
export const directly = ({ error, message }: RedirectedRefusal): Refusal =>
  Object.hasOwn(catalogue, error) ? refuse(error as ErrorCode, { message }) : refuseRequest(message);

/** Runs a check whose refusal may be redirected; what may not (RFC 6749 §4.1.2.1) goes on as it is. */
export async function redirecting<T>(to: AnswerTo, check: () => Promise<T> | T): Promise<T> {
  try {
    return await check();
  } catch (error) {
    if (error instanceof Refusal && error.status < 500) throw new RedirectedRefusal(to, errorOf(error), error.message);
    throw error;
  }
}

function errorOf({ code, status }: Refusal): ErrorCode {
  if ("redirectable" in catalogue[code]) return code;
  return status === 403 ? "access_denied" : "invalid_request";
}

export const refuseRequest = (message: string) => refuse("invalid_request", { message });
