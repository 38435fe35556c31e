import fc from "fast-check";
import { expect, it } from "vitest";
import { reveal } from "../secrets/secret.ts";
import { addAsFragment, addToQuery } from "./redirect-address.ts";

const CALLBACK = "https://shop.example/cb";

it.each([
  [CALLBACK, `${CALLBACK}?state=x`],
  [`${CALLBACK}?`, `${CALLBACK}?state=x`],
  [`${CALLBACK}?tenant=1`, `${CALLBACK}?tenant=1&state=x`],
  [`${CALLBACK}?tenant=1&`, `${CALLBACK}?tenant=1&state=x`],
  [`${CALLBACK}?a&b=%20+`, `${CALLBACK}?a&b=%20+&state=x`],
])("keeps the query of %s as it is", (address, expected) => {
  expect(reveal(addToQuery(address, [["state", "x"]]))).toBe(expected);
});

it("adds nothing where there is nothing to say, and leaves out what has no value", () => {
  expect(reveal(addToQuery(CALLBACK, []))).toBe(CALLBACK);
  expect(reveal(addToQuery(CALLBACK, [["state", undefined]]))).toBe(CALLBACK);
  const parameters = [
    ["code", "1"],
    ["state", undefined],
    ["iss", ""],
  ] as const;
  expect(reveal(addToQuery(CALLBACK, parameters))).toBe(`${CALLBACK}?code=1&iss=`);
  expect(reveal(addAsFragment(CALLBACK, parameters))).toBe(`${CALLBACK}#code=1&iss=`);
});

it("gives every value to whoever decodes it, by whichever rule", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (value) => {
      const address = reveal(
        addToQuery(CALLBACK, [
          ["state", value],
          ["iss", "last"],
        ]),
      );
      expect([...new URL(address).searchParams]).toEqual([
        ["state", value],
        ["iss", "last"],
      ]);
      expect(address).toMatch(/^https:\/\/shop\.example\/cb\?state=[A-Za-z0-9._~!'()*%-]*&iss=last$/);
      expect(decodeURIComponent(address.slice(CALLBACK.length + "?state=".length, -"&iss=last".length))).toBe(value);
    }),
  );
});
