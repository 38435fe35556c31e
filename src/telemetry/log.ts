/**
 * Logs: one JSON line an event on standard output, without codes, tokens, secrets, queries or addresses of people.
 */
import { type DestinationStream, type Logger, pino } from "pino";

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

let [last, text] = [0, ""];

/** As pino's own, made once a millisecond. */
function isoTime(): string {
  const now = Date.now();
  if (now !== last) [last, text] = [now, `,"time":"${new Date(now).toISOString()}"`];
  return text;
}

/** Lines are gathered for a moment, so that a busy server makes one system call for many of them. */
const FLUSH_EVERY = 200;

export function openLogger(level: string, destination: DestinationStream = standardOutput()): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
    },
    destination,
  );
}

function standardOutput(): DestinationStream {
  const destination = pino.destination({ dest: 1, sync: false, minLength: 32_768, maxWrite: 65_536 });
  const timer = setInterval(() => destination.flush(), FLUSH_EVERY);
  timer.unref();
  process.once("exit", () => destination.flushSync());
  return destination;
}

export type { Logger };
