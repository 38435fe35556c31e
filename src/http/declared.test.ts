import { Type } from "typebox";
import { describe, expect, it } from "vitest";
import { prunerOf } from "./declared.ts";

const inner = Type.Object({ a: Type.String() });
const pruned = (schema: object, value: object) => {
  const copy = structuredClone(value);
  prunerOf(schema)?.(copy);
  return copy;
};

describe("what a schema declares", () => {
  it("is what stays of an object, of its objects, and of those in its lists", () => {
    const schema = Type.Object({ inner, list: Type.Array(inner), text: Type.String() });
    const value = { inner: { a: 1, b: 2 }, list: [{ a: 1, b: 2 }, { b: 2 }, "odd"], text: "x", more: {} };
    expect(pruned(schema, value)).toEqual({ inner: { a: 1 }, list: [{ a: 1 }, {}, "odd"], text: "x" });
  });

  it("is what any of its alternatives declares", () => {
    const schema = Type.Union([Type.Null(), inner, Type.Object({ c: inner })]);
    expect(pruned(schema, { a: 1, b: 2, c: { a: 1, b: 2 } })).toEqual({ a: 1, c: { a: 1 } });
    const lists = Type.Union([Type.Null(), Type.Array(inner)]);
    expect(pruned(lists, [{ a: 1, b: 2 }])).toEqual([{ a: 1 }]);
  });

  it("is not what every object inherits", () => {
    const value = JSON.parse('{"__proto__": 1, "constructor": 2, "toString": 3, "a": 4}');
    expect(Object.keys(pruned(inner, value))).toEqual(["a"]);
  });

  it("is everything where a schema says that more may come", () => {
    const open = Type.Object({ inner }, { additionalProperties: true });
    expect(pruned(open, { inner: { a: 1, b: 2 }, more: 1 })).toEqual({ inner: { a: 1 }, more: 1 });
    const names = Type.Record(Type.String({ pattern: "^.{1,3}$" }), Type.String());
    expect(pruned(names, { any: "1" })).toEqual({ any: "1" });
    expect(pruned({ type: "object", additionalProperties: { type: "string" } }, { any: "1" })).toEqual({ any: "1" });
    expect(pruned(Type.Null(), { any: 1 })).toEqual({ any: 1 });
  });
});
