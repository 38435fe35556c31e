/**
 * Logs: one JSON line an event on standard output, without codes, tokens, secrets, queries or addresses of people.
 */
import cluster from "node:cluster";
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

/** Bytes that Linux writes to a pipe or a socket whole or not at all. */
const WHOLE = 4_096;
const NEWLINE = 10;

/**
 * Handed over in pieces of many lines: line by line would cost three times what making a line costs. A disk that is
 * full, a reader who has gone and one who has stopped reading cost lines, and neither the server nor its end.
 */
function standardOutput(): DestinationStream {
  let [lines, length]: [string[], number] = [[], 0];
  let left: Buffer = Buffer.alloc(0);
  let busy = false;

  function take(): Buffer {
    const taken = left.length > 0 ? left : Buffer.from(lines.join(""));
    if (left.length === 0) [lines, length] = [[], 0];
    left = Buffer.alloc(0);
    return taken;
  }

  /** A disk takes its time, off the event loop; all others take at once what they have room for. */
  function flush(): void {
    if (busy || length + left.length === 0) return;
    const taken = take();
    if (unblock()) settle(writeAtOnce(taken));
    else {
      busy = true;
      write(1, taken, (error, written) => {
        busy = false;
        settle({ rest: taken.subarray(error ? 0 : written), code: error?.code });
      });
    }
  }

  function settle({ rest, code }: Written): void {
    // Nobody will ever read what nobody could read.
    if (code !== "EPIPE") left = rest;
    if (code === "EAGAIN") {
      busy = true;
      const again = () => {
        busy = false;
        flush();
      };
      setTimeout(again, RETRY).unref();
    } else if (code === undefined && length + left.length >= FLUSH_AT) flush();
  }

  setInterval(flush, FLUSH_EVERY).unref();
  process.once("exit", () => writeOut(Buffer.concat([take(), take()])));
  return {
    write(line) {
      if (length + left.length >= WAIT_AT_MOST) return;
      lines.push(line);
      length += line.length;
      if (length >= FLUSH_AT) flush();
    },
  };
}

/**
 * A write to a pipe, a socket or a terminal that has no room fails from now on instead of waiting: a terminal that is
 * paused would hold a thread of this process, and with it the end of the process, for as long as it pleases. Each time
 * anew, since any process that shares the descriptor may change it back.
 *
 * @returns false for a file, where there is nothing to wait for.
 */
function unblock(): boolean {
  const { _handle } = process.stdout as { _handle?: { setBlocking(on: boolean): void } };
  _handle?.setBlocking(false);
  return _handle !== undefined;
}

interface Written {
  readonly rest: Buffer;
  /** Why there is a rest. */
  readonly code?: string | undefined;
}

function writeAtOnce(lines: Buffer): Written {
  let rest = lines;
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(1, pieceOf(rest)));
    return { rest };
  } catch (error) {
    return { rest, code: (error as NodeJS.ErrnoException).code };
  }
}

/** One of several processes writes lines whole, so that none is torn by another's; a longer one goes as it must. */
function pieceOf(lines: Buffer): Buffer {
  if (!cluster.isWorker || lines.length <= WHOLE) return lines;
  return lines.subarray(0, lines.lastIndexOf(NEWLINE, WHOLE - 1) + 1 || lines.indexOf(NEWLINE) + 1);
}

/** The last lines. Who reads slowly gets a second; on any other failure there is nobody left to tell. */
function writeOut(lines: Buffer): void {
  const ends = performance.now() + 1_000;
  unblock();
  let { rest, code } = writeAtOnce(lines);
  while (code === "EAGAIN" && performance.now() < ends) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY);
    ({ rest, code } = writeAtOnce(rest));
  }
}

export type { Logger };
