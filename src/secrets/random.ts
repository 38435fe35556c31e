import { randomFillSync } from "node:crypto";

const pool = Buffer.allocUnsafe(8_192);
let used = pool.length;

/**
 * Random bytes for ids, of which many are needed: filled from the system in larger pieces, each byte handed out once,
 * as text. Keys and codes take theirs from `randomBytes`, so that no pool ever holds what has to stay secret.
 */
export function randomForIds(length: number, encoding: "base64url" | "hex"): string {
  if (used + length > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += length;
  return pool.toString(encoding, used - length, used);
}
