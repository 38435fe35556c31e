import { expect, it } from "vitest";
import { inPages, slices } from "./pages.ts";

it("whoever reads by pages lets the event loop turn before each further one", async () => {
  let turns = 0;
  let over = false;
  const turn = () => {
    turns++;
    if (!over) setImmediate(turn);
  };
  setImmediate(turn);
  const seen: number[] = [];
  for await (const _rows of inPages<number>(1, async (after = 0) => (after < 4 ? [after + 1] : []))) seen.push(turns);
  over = true;
  expect(seen).toHaveLength(4);
  expect(seen).toEqual([...new Set(seen)]);
});

it("a list comes in parts, in its order", () => {
  expect([...slices([1, 2, 3, 4, 5], 2)]).toEqual([[1, 2], [3, 4], [5]]);
  expect([...slices([], 2)]).toEqual([]);
});
