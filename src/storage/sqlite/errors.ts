import { Refusal, refuse } from "../../errors.ts";

/** Nobody knows what is on disk: nothing more is written until the process is started again, which replays the log. */
export class BrokenDisk extends Error {}

/** A fault of the disk or of its owner, not of the statement: full, failing, out of reach, or held by another for too long. */
const UNAVAILABLE = /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN|BUSY|LOCKED|NOMEM)/;

/** Turns a disk that takes nothing into 503 with its cause kept for the log; leaves every other error as it is. */
export function mapUnavailable(error: unknown): unknown {
  if (error instanceof Refusal) return error;
  const code = (error as { code?: unknown } | null)?.code;
  if (error instanceof BrokenDisk || (typeof code === "string" && UNAVAILABLE.test(code)))
    return refuse("temporarily_unavailable", { detail: "the disk takes nothing", cause: error, retry_after: 1 });
  return error;
}
