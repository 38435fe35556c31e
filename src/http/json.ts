/** JSON that somebody else wrote, as values that may be kept: not nested without end, of text that both engines store and read. */

/** Objects and arrays within one another. */
const DEPTH_LIMIT = 32;

/** What JSON can spell and no form: U+0000, and half of a surrogate pair, which has no UTF-8. */
export const UNFIT = /[\0\p{Surrogate}]/u;
export const UNFIT_SAID = "must not contain U+0000 or half of a surrogate pair";
/** UTF-8 holds neither as it is. */
const MAY_BE_UNFIT = /\\u(?:0000|d[89a-f])/i;

export interface ReadJson {
  readonly value?: unknown;
  /** Why there is no value. */
  readonly fault?: { readonly code: string; readonly message: string };
}

/** `source` was decoded from UTF-8. */
export function readJson(source: string): ReadJson {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    return { fault: { code: "json", message: "is not valid JSON" } };
  }
  if (isDeep(value)) return { fault: { code: "too_deep", message: "is nested too deeply" } };
  if (MAY_BE_UNFIT.test(source) && isUnfit(value)) return { fault: { code: "encoding", message: UNFIT_SAID } };
  return { value };
}

/** Whoever walks a value that is nested without end, to check or to write it, runs out of stack. */
export function isDeep(value: unknown, left = DEPTH_LIMIT): boolean {
  if (typeof value !== "object" || value === null) return false;
  return left === 0 || Object.values(value).some((member) => isDeep(member, left - 1));
}

function isUnfit(value: unknown): boolean {
  if (typeof value === "string") return UNFIT.test(value);
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([name, member]) => UNFIT.test(name) || isUnfit(member));
}
