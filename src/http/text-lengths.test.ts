import { Ajv } from "ajv";
import { expect, it } from "vitest";
import { measureTexts } from "./text-lengths.ts";

const judge = (text: string) => {
  const ajv = new Ajv({ allErrors: true });
  measureTexts(ajv);
  const judged = ajv.compile({ type: "string", minLength: 2, maxLength: 4 });
  return judged(text) ? "fits" : judged.errors;
};

it.each([
  ["of two letters", "ab", "fits"],
  ["of four letters", "abcd", "fits"],
  ["of four characters in eight units", "😀😀😀😀", "fits"],
  ["of two characters in three units", "a😀", "fits"],
  ["of one letter", "a", "minLength"],
  ["of one character in two units", "😀", "minLength"],
  ["of none", "", "minLength"],
  ["of five letters", "abcde", "maxLength"],
  ["of five characters in ten units", "😀😀😀😀😀", "maxLength"],
  ["of five characters in six units", "abcd😀", "maxLength"],
  ["of four letters and half a character", "abcd\ud83d", "maxLength"],
])("measures a text %s in characters", (_name, text, expected) => {
  const limit = expected === "minLength" ? 2 : 4;
  expect(judge(text)).toEqual(
    expected === "fits" ? "fits" : [expect.objectContaining({ keyword: expected, params: { limit } })],
  );
});
