import { randomForIds } from "./random.ts";

/** UUIDv7 (RFC 9562 §5.7): sorts by creation time, 74 random bits. `now` in milliseconds since the epoch. */
export function uuidv7(now: number): string {
  const bytes = Buffer.from(randomForIds(16));
  bytes.writeUIntBE(now, 0, 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
