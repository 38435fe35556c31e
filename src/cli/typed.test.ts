import { Type } from "typebox";
import { expect, it } from "vitest";
import { collectTyped, fieldLines, readTyped } from "./typed.ts";

it.each([
  ["text", "text"],
  ["two words", "two words"],
  ["a=b", "a=b"],
  ["007", "007"],
  ['"7"', "7"],
  ['""', ""],
  ["7", 7],
  ["true", true],
  ["null", null],
  ['["a","b"]', ["a", "b"]],
  ['{"a":1}', { a: 1 }],
  ['"\\u001b[31m\\udb40\\udc41"', "\u001b[31m\u{e0041}"],
])("%s is typed and shown for %j", async (text, value) => {
  const typed = collectTyped(`key=${text}`);
  expect(await readTyped(Type.Object({ key: Type.Unknown() }), typed)).toEqual({ key: value });
  expect(fieldLines({ key: value })).toEqual([`  key  ${text}`]);
});

it("nothing behind the sign is null where that may be, else an empty text", async () => {
  const schema = Type.Object({ one: Type.Union([Type.Null(), Type.String()]), other: Type.String() });
  const typed = ["one=", "other="].reduce(
    (before: ReturnType<typeof collectTyped>, word) => collectTyped(word, before),
    {},
  );
  expect(await readTyped(schema, typed)).toEqual({ one: null, other: "" });
});

it.each([["key"], ["=value"], ["key=1", "key=2"]])("%s %s is wrong usage", (...words) => {
  expect(() => words.reduce((before, word) => collectTyped(word, before), collectTyped("a=1"))).toThrow();
});
