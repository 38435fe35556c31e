import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSqliteFile, type SqliteFile } from "./connection.ts";

describe("the SQLite connection", () => {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-"));
  let file: SqliteFile;
  beforeAll(() => {
    file = openSqliteFile(join(folder, "test.db"));
    file.exec("pragma journal_mode = wal; create table things (id integer primary key, name text) strict");
    for (let id = 1; id <= 5; id++) file.run("insert into things values (?, ?)", id, `thing ${id}`);
  });
  afterAll(() => {
    file.close();
    rmSync(folder, { recursive: true });
  });

  it("answers what was asked, in whatever order one text is asked for one row and for all", () => {
    const text = "select name from things where id >= ? order by id";
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 7 })), { maxLength: 30 }), (asked) => {
        for (const [one, id] of asked) {
          const expected = [1, 2, 3, 4, 5].filter((known) => known >= id).map((known) => ({ name: `thing ${known}` }));
          if (one) expect(file.one(text, id)).toEqual(expected[0]);
          else expect(file.all(text, id)).toEqual(expected);
        }
      }),
    );
  });

  it("goes on after a statement that failed half way", () => {
    const text = "select json_extract(?, '$.a') as a";
    expect(file.one(text, '{"a": 1}')).toEqual({ a: 1 });
    expect(() => file.one(text, "{")).toThrow("malformed JSON");
    expect(file.one(text, '{"a": 2}')).toEqual({ a: 2 });
    expect(() => file.all(text, "{")).toThrow("malformed JSON");
    expect(file.all(text, '{"a": 3}')).toEqual([{ a: 3 }]);
  });

  it("refuses what it would not give back as it was", () => {
    for (const value of [undefined, 1.5, Number.NaN, 2 ** 53, {}, []]) {
      expect(() => file.all("select ? as value", value as never)).toThrow(TypeError);
    }
    expect(() => file.all("select ? as value", "a\0b")).toThrow("Text must not contain U+0000.");
  });
});
