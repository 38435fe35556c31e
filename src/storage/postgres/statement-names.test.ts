import { describe, expect, it } from "vitest";
import { openStatementNames } from "./statement-names.ts";

describe("names of statements", () => {
  const often = (nameOf: ReturnType<typeof openStatementNames>, text: string, values: unknown[] = [1]) =>
    Array.from({ length: 30 }, () => nameOf(text, values)).at(-1);

  it("are given to what comes often, the same in every process, and to nothing else", () => {
    const nameOf = openStatementNames();
    expect(nameOf("select a from t where b = $1", [1])).toBeUndefined();
    const name = often(nameOf, "select a from t where b = $1");
    expect(name).toMatch(/^q_[0-9a-f]{32}$/);
    expect(often(openStatementNames(), "select a from t where b = $1")).toBe(name);
    expect(often(nameOf, "select a from t where c = $1")).not.toBe(name);
    expect(often(nameOf, "select count(*) from t where b = $1")).toMatch(/^q_/);
    expect(often(nameOf, "select 1; select 2", []), "maybe several").toBeUndefined();
  });

  it("are few, and stay with those who have one", () => {
    const nameOf = openStatementNames();
    const texts = Array.from({ length: 300 }, (_, n) => `select a${n} from t where b = $1`);
    const names = new Set(texts.map((text) => often(nameOf, text)));
    expect(names.size, "and undefined").toBe(101);
    expect(nameOf(texts[0] ?? "", [1])).toBe([...names][0]);
    for (let n = 0; n < 5_000; n++) nameOf(`select ${n} where a = $1`, [1]);
    expect(nameOf(texts[99] ?? "", [1])).toBe([...names][99]);
  });

  it("are left for others where a text comes with lists of every length", () => {
    const nameOf = openStatementNames();
    const list = (count: number, entry = "$1") => Array.from({ length: count }, () => entry).join(", ");
    for (let n = 1; n <= 100; n++) {
      often(nameOf, `select a from t where b in (${list(n)}) and c = $101`);
      often(nameOf, `insert into t (a, b) values ${list(n, "($1, $2)")} returning a`);
    }
    expect(often(nameOf, "select a from t where b in ($1)")).toMatch(/^q_/);
    expect(often(nameOf, "select a from t where b in ($1) and c = $101"), "came first").toMatch(/^q_/);
    expect(often(nameOf, `select a from t where b in (${list(50)}) and c = $101`)).toBeUndefined();
    for (let n = 0; n < 80; n++) expect(often(nameOf, `select b${n} from t where a = $1`)).toMatch(/^q_/);
  });
});
