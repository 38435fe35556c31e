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

describe("docs/security-tests.md", () => {
  const rows = rowsOf(read("docs/security-tests.md"));

  it("has every row of the best current practice", () => {
    const named = rows.map(([first = ""]) => first).filter((first) => /^R\d+$/.test(first));
    expect(named).toEqual(Array.from({ length: 35 }, (_, index) => `R${index + 1}`));
  });

  it("names tests that there are", () => {
    for (const cells of rows) {
      const [title = "", file = ""] = cells.toReversed();
      const path = file.replaceAll("`", "");
      expect(existsSync(new URL(`../../${path}`, import.meta.url)), path).toBe(true);
      expect(read(path), title).toContain(title);
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
