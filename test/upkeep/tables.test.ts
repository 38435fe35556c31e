/** Tables in the docs that name tests name tests that exist, and leave no row out. */
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** Cells of every row of every table. */
const rowsOf = (text: string): string[][] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| -|^\| (row|what is tried|module) /.test(line))
    .map((line) =>
      line
        .split(" | ")
        .map((cell) => cell.replace(/^\| |\s*\|$/g, "").trim())
        .filter((cell) => cell !== ""),
    );

/** Sections of ASVS 5.0, and how many of their rows concern an authorization server, or which. */
const ASVS: readonly [section: string, rows: number | readonly number[]][] = [
  ["4.1", 4],
  ["6.1", [1, 3]],
  ["6.3", 8],
  ["6.4", 1],
  ["6.5", 8],
  ["6.6", 4],
  ["6.8", 4],
  ["7.2", 4],
  ["7.3", 2],
  ["7.4", 5],
  ["7.5", 3],
  ["7.6", 2],
  ["8.2", 4],
  ["8.3", 3],
  ["8.4", 1],
  ["9.1", 3],
  ["9.2", 4],
  ["10.1", 2],
  ["10.3", 5],
  ["10.4", 16],
  ["10.5", 5],
  ["10.6", 2],
  ["10.7", 3],
  ["11.2", [3, 4]],
  ["11.5", 1],
  ["13.1", 4],
  ["13.2", 6],
  ["13.3", 4],
  ["16.1", 1],
  ["16.2", 5],
  ["16.3", 4],
  ["16.4", 3],
  ["16.5", 4],
];
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe("docs/security-tests.md", () => {
  const rows = rowsOf(read("docs/security-tests.md"));

  it.each([
    ["the best current practice", /^R\d+$/, upTo(35).map((n) => `R${n}`)],
    ["the digital identity guidelines", /^N\d+$/, upTo(16).map((n) => `N${n}`)],
    [
      "the verification standard",
      /^\d+\.\d+\.\d+$/,
      ASVS.flatMap(([section, those]) =>
        (typeof those === "number" ? upTo(those) : those).map((n) => `${section}.${n}`),
      ),
    ],
  ])("has every row of %s", (_what, pattern, expected) => {
    expect(rows.map(([first = ""]) => first).filter((first) => pattern.test(first))).toEqual(expected);
  });

  it("names tests that there are, or says why there is none", () => {
    for (const cells of rows) {
      const [title = "", file = ""] = cells.toReversed();
      if (file === "–") {
        expect(title, cells[0]).toMatch(/^[A-Z].{10,}\.$/);
        continue;
      }
      const [titles, paths] = [title.split("<br>"), file.replaceAll("`", "").split("<br>")];
      expect(paths.length, cells[0]).toBe(titles.length);
      for (const [index, path] of paths.entries()) {
        expect(existsSync(new URL(`../../${path}`, import.meta.url)), path).toBe(true);
        const called = ['"', "`"].some((quote) => read(path).includes(`${quote}${titles[index]}${quote}`));
        expect(called, `${path} has a test called: ${titles[index]}`).toBe(true);
      }
    }
  });
});

describe("docs/conformance.md", () => {
  it("names the modules that are tested, and tests the modules that it names", () => {
    const [claimed = ""] = read("docs/conformance.md").split("## Dynamic");
    const named = [...claimed.matchAll(/^\| `(oidcc-[^`]+)` \|$/gm)].map(([, name]) => name);
    const tested = [...read("test/interop/openid-certification.test.ts").matchAll(/it\("(oidcc-[^"]+)"/g)];
    expect(named.toSorted()).toEqual(tested.map(([, name]) => name).toSorted());
    expect(named.length).toBeGreaterThan(30);
  });
});
