import fc from "fast-check";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import type { Bindable } from "../storage.ts";
import { arrayLiteral } from "./array-literal.ts";

describe("an array, as PostgreSQL reads it,", () => {
  let opened: TestStorage;

  beforeAll(async () => {
    opened = await openTestStorage("postgres");
  });

  afterAll(() => opened.close());

  async function readBack(values: readonly Bindable[], type: "text" | "bigint" | "bytea"): Promise<unknown[]> {
    const { rows } = await sql<{ value: unknown }>`
      select value from unnest(cast(${arrayLiteral(values)} as ${sql.raw(type)}[])) with ordinality as one (value, n) order by n
    `.execute(opened.storage.read);
    return rows.map(({ value }) => value);
  }

  it("holds every text, and nothing where there was nothing", async () => {
    expect(await readBack(["NULL", "", '"', "\\", "{a,b}", " ", null], "text")).toEqual([
      "NULL",
      "",
      '"',
      "\\",
      "{a,b}",
      " ",
      null,
    ]);
    const text = fc.string({ unit: "grapheme" }).filter((value) => !value.includes("\0"));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(text)), async (values) => {
        expect(await readBack(values, "text")).toEqual(values);
      }),
    );
  });

  it("holds numbers and bytes", async () => {
    expect(await readBack([], "text")).toEqual([]);
    expect(await readBack([1, -2n, null], "bigint")).toEqual([1, -2, null]);
    expect(await readBack([Buffer.from("\0\x01\xff", "latin1")], "bytea")).toEqual([
      Buffer.from("\0\x01\xff", "latin1"),
    ]);
  });
});
