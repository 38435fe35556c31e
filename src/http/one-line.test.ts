import { expect, it } from "vitest";
import { oneLine } from "./one-line.ts";

it.each([
  ["  Shop\n of\t\u2028 Ada ", "Shop of Ada"],
  ["Shop\u202etxt.exe", "Shop txt.exe"],
  ["\u2066\u2069", ""],
  ["\u200b\u200d\u200c ", ""],
  ["x".repeat(100), "x".repeat(100)],
  ["x".repeat(101), `${"x".repeat(99)}…`],
  [`${"x".repeat(98)} ${"y".repeat(9)}`, `${"x".repeat(98)}…`],
  // A sign of several characters is whole, or is not there; one alone may be longer than all that is kept.
  [`${"x".repeat(98)}\u{1f469}\u200d\u{1f373} Kitchen`, `${"x".repeat(98)}…`],
  [`${"x".repeat(96)}\u{1f469}\u200d\u{1f373} Kitchen`, `${"x".repeat(96)}\u{1f469}\u200d\u{1f373}…`],
  [`a${"\u0301".repeat(200)}`, `a${"\u0301".repeat(98)}…`],
  [`\u05d0${"x".repeat(100)}`, `\u2068\u05d0${"x".repeat(98)}…\u2069`],
  ["Hochzeits\u00adtorten", "Hochzeitstorten"],
  // Joiners belong to the spelling (UAX #31 §2.3, UTS #51).
  ["\u0646\u0627\u0646\u200c\u0648\u0627\u06cc\u06cc", "\u2068\u0646\u0627\u0646\u200c\u0648\u0627\u06cc\u06cc\u2069"],
  [
    "\u0dc1\u0dca\u200d\u0dbb\u0dd3 \u0dbd\u0d82\u0d9a\u0dcf",
    "\u0dc1\u0dca\u200d\u0dbb\u0dd3 \u0dbd\u0d82\u0d9a\u0dcf",
  ],
  ["\u{1f469}\u200d\u{1f373} Kitchen", "\u{1f469}\u200d\u{1f373} Kitchen"],
  // The flag of Wales ends in tags.
  [
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
  ],
])("puts %j on one line as %j", (name, line) => expect(oneLine(name)).toBe(line));

it("keeps as many characters as it is told", () => expect(oneLine("Shop of Ada", 6)).toBe("Shop…"));
