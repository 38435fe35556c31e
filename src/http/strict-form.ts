import type { Fault } from "../errors.ts";
import { MOST_FAULTS } from "./faults.ts";

/** What a query string or form body said, and what is wrong with how it said it. */
export interface StrictForm {
  /** The first of each name that says something. */
  readonly values: Record<string, string>;
  readonly faults: readonly Fault[];
  /** All the values of those names that came more than once, also those that say nothing. */
  readonly repeated?: ReadonlyMap<string, readonly string[]> | undefined;
}

/**
 * Reads `application/x-www-form-urlencoded` without mercy: an invalid percent sequence, bytes that are not UTF-8 and
 * U+0000 are faults; whether a name may be repeated is for those to say who know it. `text` holds one byte in each
 * character, as HTTP delivers it; nothing is read behind the last fault that a request is told of.
 */
export function parseStrict(text: string): StrictForm {
  const values = new Values();
  const faults: Fault[] = [];
  let repeated: Map<string, string[]> | undefined;
  const read = ENCODED.test(text) ? decode : (part: string) => part;
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    if (faults.length === MOST_FAULTS) break;
    const split = pair.indexOf("=");
    const name = read(split < 0 ? pair : pair.slice(0, split));
    const value = read(split < 0 ? "" : pair.slice(split + 1));
    if (name === undefined)
      faults.push({ path: "query", code: "encoding", message: "is not valid percent-encoded UTF-8" });
    else if (value === undefined) {
      values[name] ??= "";
      faults.push({ path: shown(name), code: "encoding", message: "is not valid percent-encoded UTF-8" });
    } else {
      const first = values[name];
      if (!first) values[name] = value;
      if (first === undefined) continue;
      repeated ??= new Map();
      const all = repeated.get(name) ?? [first];
      all.push(value);
      repeated.set(name, all);
    }
  }
  return { values, faults, repeated };
}

/** Inherits nothing, and is quicker to fill and to read than what `Object.create(null)` makes. */
class Values {
  [name: string]: string;
}
Object.setPrototypeOf(Values.prototype, null);
Reflect.deleteProperty(Values.prototype, "constructor");

/** What does not simply mean itself. */
const ENCODED = /[%+\0\x80-\xff]/;
const RAW = /[+\x80-\xff]/;

const shown = (name: string) => name.slice(0, 64);

/** `text` holds one byte in each character. @returns undefined when it is not percent-encoded UTF-8, or holds U+0000. */
export function decode(text: string): string | undefined {
  if (!ENCODED.test(text)) return text;
  const escaped = RAW.test(text) ? text.replaceAll("+", " ").replace(/[\x80-\xff]/g, escapeByte) : text;
  try {
    const decoded = decodeURIComponent(escaped);
    return decoded.includes("\0") ? undefined : decoded;
  } catch {
    return undefined;
  }
}

/** A byte that came as it is means what its percent sequence means. */
function escapeByte(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16)}`;
}
