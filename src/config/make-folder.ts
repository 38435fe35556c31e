import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** Makes it, with those above it. Where there can be none, as below /proc, `recursive` of Node.js 20 never returns. */
export function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
