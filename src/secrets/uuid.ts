import { randomForIds } from "./random.ts";

/** A busy server makes several a millisecond, and large numbers are slow to write in hexadecimal. */
let [last, time] = [-1, ""];

/** UUIDv7 (RFC 9562 §5.7): sorts by creation time, 74 random bits. `now` in milliseconds since the epoch. */
export function uuidv7(now: number): string {
  if (now !== last) [last, time] = [now, Math.floor(now).toString(16).padStart(12, "0")];
  const random = randomForIds(10, "hex");
  // The two bits of the variant stand before two random ones.
  const variant = "89ab"[Number.parseInt(random.slice(3, 4), 16) & 3];
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}`;
}

/** When a UUIDv7 was made, in milliseconds since the epoch; undefined for any other text. */
export function timeOf(uuid: string): number | undefined {
  const [, first, second] = /^([\da-f]{8})-([\da-f]{4})-7/.exec(uuid) ?? [];
  return first === undefined || second === undefined ? undefined : Number.parseInt(first + second, 16);
}

/** Sixteen bytes, in hexadecimal, as a uuid is written. */
export function uuidOf(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

export const isUuidInAnyCase = (text: string): boolean => text.length === 36 && UUID.test(text);

/** A uuid as this server writes them: it may come in capitals (RFC 9562 §4). Any other text as it is. */
export const smallUuid = (text: string): string => (isUuidInAnyCase(text) ? text.toLowerCase() : text);
