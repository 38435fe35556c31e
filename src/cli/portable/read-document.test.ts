import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { readDocument } from "./read-document.ts";

const reading = (text: string) => readDocument(Readable.from([Buffer.from(text)]));

describe("a file that is no JSON", () => {
  it.each([
    ["[1,\n 2,\n]", 3, 1],
    ['{"clients": [{},\n\n]}', 3, 1],
    ['{\n  "name": Shop\n}', 2, 11],
    ['{"a":\n}', 2, 1],
    ['{"a": [true,\r\n tru]}', 2, 5],
    ['["\\u00e9é\\\\",\nNaN]', 2, 1],
    ["\n'a'", 2, 1],
    ["nothing", 1, 2],
    ["[1 2]", 1, 4],
    ['{"a": 1,}', 1, 9],
    ['["at position 1",\n]', 2, 1],
    ['["end of JSON input",\n]', 2, 1],
  ])("is refused with line and column, whether or not the parser names the place of the fault: %j", async (...row) => {
    const [text, line, column] = row;
    await expect(reading(text)).rejects.toThrow(`the file: is not valid JSON: see line ${line}, column ${column}`);
  });

  it("is said to end too soon, wherever it is cut off", async () => {
    const text = `{"a\\u12fF\\n\\"x": [1, -2.5e+10, 0.5, true, false, null, "\\ud83d\\ude00é", {}, [], {"b": {}}] ,\n "d" : ""}`;
    expect(JSON.parse(text)).toBeTruthy();
    for (let length = 0; length < text.length; length++)
      await expect(reading(text.slice(0, length)), `${length}`).rejects.toThrow("it ends before its JSON does");
  });

  it("is refused at the same place whatever stands behind it", async () => {
    const before = `{"a\\u12fF\\n": [1, -2.5e+10, true, "\\ud83d\\ude00é\\\\"],\n "d" : [`;
    for (let more = 0; more < 64; more++)
      await expect(reading(`${before}]x${"]".repeat(more)}`), `${more}`).rejects.toThrow("see line 2, column 10");
  });
});
