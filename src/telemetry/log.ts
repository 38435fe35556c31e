/**
 * Logs: one JSON line an event on standard output, without codes, tokens, secrets, queries or addresses of people.
 */
import { write, writeSync } from "node:fs";
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

/**
 * Lines are gathered for a moment, so that a busy server makes one system call for many of them: milliseconds, and
 * characters.
 */
const FLUSH_EVERY = 200;
const FLUSH_AT = 32_768;
/** So many characters wait for a standard output that takes nothing; what comes then is lost. */
const WAIT_AT_MOST = 4_194_304;
/** Milliseconds until one is asked again that is not read fast enough. */
const RETRY = 10;

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

/**
 * Handed over in one piece: line by line would cost three times what making a line costs. A disk that is full and a reader who has
 * gone cost lines, and neither the server nor its end.
 */
function standardOutput(): DestinationStream {
  let [lines, length]: [string[], number] = [[], 0];
  let left: Buffer = Buffer.alloc(0);
  let writing = false;

  function take(): Buffer {
    const taken = Buffer.concat([left, Buffer.from(lines.join(""))]);
    [lines, length, left] = [[], 0, Buffer.alloc(0)];
    return taken;
  }

  function flush(): void {
    if (writing || length + left.length === 0) return;
    const taken = take();
    writing = true;
    write(1, taken, (error, written) => {
      writing = false;
      // Nobody will ever read what nobody could read.
      if (error?.code !== "EPIPE") left = taken.subarray(error ? 0 : written);
      if (error?.code === "EAGAIN") setTimeout(flush, RETRY).unref();
      else if (!error && length + left.length >= FLUSH_AT) flush();
    });
  }

  setInterval(flush, FLUSH_EVERY).unref();
  process.once("exit", () => writeOut(take()));
  return {
    write(line) {
      if (length + left.length >= WAIT_AT_MOST) return;
      lines.push(line);
      length += line.length;
      if (length >= FLUSH_AT) flush();
    },
  };
}

/** The last lines. Who reads slowly gets a second; on any other failure there is nobody left to tell. */
function writeOut(lines: Buffer): void {
  const ends = performance.now() + 1_000;
  for (let rest = lines; rest.length > 0 && performance.now() < ends; ) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY);
    }
  }
}

export type { Logger };
