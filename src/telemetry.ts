/**
 * Logs: one JSON line an event on standard output, without codes, tokens, secrets, queries or addresses of people.
 */
import { type Logger, pino } from "pino";

/** Of an error only what cannot hold a value somebody sent us. */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { name, message, stack, cause } = error;
  const { code } = error as { code?: unknown };
  return {
    type: name,
    message,
    ...(typeof code === "string" ? { code } : {}),
    ...(stack ? { stack: stack.split("\n").slice(1, 8).join("\n") } : {}),
    ...(cause === undefined ? {} : { cause: describeError(cause) }),
  };
}

export function openLogger(level: string): Logger {
  return pino({
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: describeError },
  });
}

export type { Logger };
