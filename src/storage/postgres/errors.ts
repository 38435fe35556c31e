import { Refusal, refuse } from "../../errors.ts";
import { refuseText } from "../refuse-text.ts";

/**
 * A fault of the connection or of the server's state, not of the statement (classes 08, 53, 57, 58 and the socket's
 * own). 25006: a server that another one has taken over from still reads, and a connection to it would never write
 * again. 25P03: a transaction stood still for so long that its session was ended.
 */
const UNAVAILABLE = /^(08|53|57|58|25006$|25P03$)/;
/** character_not_in_repertoire: U+0000. */
const UNSTORABLE = "22021";
/** program_limit_exceeded: more than a row of an index holds. */
const TOO_LONG = "54000";
const SOCKET = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENOENT",
  "EHOSTUNREACH",
]);
const CLIENT_SIDE =
  /connection terminated|timeout exceeded|client has encountered a connection error|query read timeout/i;

/**
 * Lost against a concurrent transaction: serialisation failure, deadlock, or a name that somebody else took between
 * this one's look and its write (23505), which it finds taken when it looks again.
 */
export function isRetriable(error: unknown): boolean {
  return /^(40001|40P01|23505)$/.test(codeOf(error) ?? "");
}

/** Somebody held a row, or a table, for longer than the connection waits (lock_not_available). */
export function isHeld(error: unknown): boolean {
  return codeOf(error) === "55P03";
}

/** The database did not answer, or said that it cannot: nobody should use that connection again. */
export function isUnavailable(error: unknown): boolean {
  const message = error instanceof Error ? error.message : "";
  const code = codeOf(error) ?? "";
  return code === "temporarily_unavailable" || UNAVAILABLE.test(code) || SOCKET.has(code) || CLIENT_SIDE.test(message);
}

/**
 * Turns a lost database into 503 with its cause kept for the log, and values that cannot be stored into 400; leaves
 * every other error as it is.
 */
export function mapUnavailable(error: unknown): unknown {
  if (error instanceof Refusal) return error;
  if (codeOf(error) === UNSTORABLE) return refuseText();
  if (codeOf(error) === TOO_LONG) return refuse("invalid_request", { message: "A value is too long.", cause: error });
  return isUnavailable(error) ? unreachable(error) : error;
}

/**
 * 503 with its cause kept for the log. Whatever keeps a connection from coming about is such a cause: a network or a
 * resolver says it in many ways, and so does a server that lets nobody in just now.
 */
export const unreachable = (cause: unknown): Refusal =>
  refuse("temporarily_unavailable", { detail: "the database does not answer", cause, retry_after: 1 });

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}
