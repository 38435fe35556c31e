import { Refusal, refuse } from "../../errors.ts";

/** Nobody knows what is on disk: nothing more is written until the process is started again, which replays the log. */
export class BrokenDisk extends Error {}

/** Primary result codes (sqlite3.h) of faults of the file, its disk or its owner. */
const PRIMARY: Readonly<Record<number, string>> = {
  3: "SQLITE_PERM",
  5: "SQLITE_BUSY",
  6: "SQLITE_LOCKED",
  7: "SQLITE_NOMEM",
  8: "SQLITE_READONLY",
  10: "SQLITE_IOERR",
  11: "SQLITE_CORRUPT",
  13: "SQLITE_FULL",
  14: "SQLITE_CANTOPEN",
  26: "SQLITE_NOTADB",
};

/** The driver has no name for some extended codes, and leaves that of a file which it cannot open to the message. */
export function sqliteCode(error: unknown): string | undefined {
  const { rawCode, message } = Object(error) as { rawCode?: number; message?: string };
  const raw = rawCode ?? /^ConnectionFailed\(.*: (\d+)"\)$/.exec(message ?? "")?.[1];
  return PRIMARY[Number(raw) & 0xff];
}

/** A fault of the disk or of its owner, not of the statement: full, failing, out of reach, or held by another for too long. */
const UNAVAILABLE = /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN|BUSY|LOCKED|NOMEM)$/;

/** Turns a disk that takes nothing into 503 with its cause kept for the log; leaves every other error as it is. */
export function mapUnavailable(error: unknown): unknown {
  if (error instanceof Refusal) return error;
  if (error instanceof BrokenDisk || UNAVAILABLE.test(sqliteCode(error) ?? ""))
    return refuse("temporarily_unavailable", { detail: "the disk takes nothing", cause: error, retry_after: 1 });
  return error;
}
