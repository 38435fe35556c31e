import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseStrict } from "./strict-form.ts";

/** As HTTP delivers it: one character a byte. */
const wire = (text: string) => Buffer.from(text, "utf8").toString("latin1");

describe("strict forms", () => {
  it("read what URLSearchParams wrote", () => {
    const pairs = fc.dictionary(fc.string({ unit: "grapheme", minLength: 1 }), fc.string({ unit: "grapheme" }));
    fc.assert(
      fc.property(pairs, (record) => {
        const clean = Object.entries(record).filter(([name, value]) => !`${name}${value}`.includes("\0"));
        const { values, faults } = parseStrict(wire(new URLSearchParams(clean).toString()));
        expect(faults).toEqual([]);
        expect(Object.entries(values).toSorted()).toEqual(clean.toSorted());
      }),
    );
  });

  it.each([
    ["a=%", "a", "encoding"],
    ["a=%zz", "a", "encoding"],
    ["a=%ff", "a", "encoding"],
    ["a=%c0%80", "a", "encoding"],
    ["a=%ed%a0%80", "a", "encoding"],
    ["a=%00", "a", "encoding"],
    ["%ff=1", "query", "encoding"],
  ])("find the fault in %s", (text, path, code) => {
    expect(parseStrict(text).faults).toMatchObject([{ path, code }]);
  });

  it.each([
    ["a=1&a=2&b=3", { a: "1", b: "3" }, { a: ["1", "2"] }],
    ["a=1&%61=1&a=", { a: "1" }, { a: ["1", "1", ""] }],
    ["a=&a=1&a=", { a: "1" }, { a: ["", "1", ""] }],
    ["__proto__=1&__proto__=2", { ["__proto__"]: "1" }, { ["__proto__"]: ["1", "2"] }],
    ["a=1&b=2", { a: "1", b: "2" }, {}],
  ])(
    "keep the first value of each name that says something in %s, and every one of those that came again",
    (text, values, all) => {
      const { repeated = new Map(), ...read } = parseStrict(text);
      expect(Object.entries(read.values)).toEqual(Object.entries(values));
      expect([...repeated].map(([name, several]) => [name, [...several]])).toEqual(Object.entries(all));
      expect(read.faults).toEqual([]);
    },
  );

  it("stop at fifty faults", () => {
    for (const pair of ["a=%&", "%ff&"]) expect(parseStrict(pair.repeat(1_000)).faults).toHaveLength(50);
  });

  it("never throw, and keep no name that an object has by itself", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(inheritedBy(parseStrict(text).values)).toEqual([]);
      }),
    );
  });
});

/** Names that an object has without having been given them. */
function inheritedBy(values: object): PropertyKey[] {
  const parent = Object.getPrototypeOf(values);
  return parent === null ? [] : [...Reflect.ownKeys(parent), ...inheritedBy(parent)];
}
