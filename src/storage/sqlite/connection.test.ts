import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSqliteFile, type SqliteFile } from "./connection.ts";
import { openConfigured } from "./open-file.ts";

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

it("waits for another process that is closing the file, as commands that run side by side do", async () => {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-"));
  const path = join(folder, "test.db");
  openConfigured(path).close();
  const connection = new URL("../../../dist/storage/sqlite/connection.js", import.meta.url).href;
  const holder = `import { openSqliteFile } from ${JSON.stringify(connection)};
    const file = openSqliteFile(${JSON.stringify(path)});
    file.exec("pragma locking_mode = exclusive; begin exclusive; create table held (a text); commit");
    console.log("held");
    setTimeout(() => file.close(), 700);`;
  const other = spawn(process.execPath, ["--input-type=module", "-e", holder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const gone = new Promise((resolve) => other.once("exit", resolve));
  await new Promise((resolve) => other.stdout.once("data", resolve));
  const file = openConfigured(path);
  expect(file.all("select name from sqlite_schema")).toEqual([{ name: "held" }]);
  file.close();
  expect(await gone).toBe(0);
  rmSync(folder, { recursive: true });
});
