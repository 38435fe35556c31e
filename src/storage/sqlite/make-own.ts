import { chmodSync, closeSync, openSync, statSync } from "node:fs";

/** A file that is not there yet becomes its owner's alone, and so does its log, which SQLite makes like it. */
export function makeOwn(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch {
    // It is there, or SQLite says what stands against it.
  }
}

/** Whoever may not open the one file may not open the other either: who reads it can lock it. */
export function closeTo(path: string, like: string): void {
  try {
    chmodSync(path, statSync(like).mode & 0o777);
  } catch {
    // Another user's, who made it; or there is nothing yet that it could be like.
  }
}
