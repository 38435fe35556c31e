import { expect, it } from "vitest";
import { openInTurn } from "./in-turn.ts";

it("what is done in turn is done one at a time for each key, whatever became of the one before", async () => {
  const inTurn = openInTurn();
  const happened: string[] = [];
  const work = (name: string) => async () => {
    happened.push(`${name} begins`);
    await new Promise((resolve) => setImmediate(resolve));
    happened.push(`${name} ends`);
    if (name === "first") throw new Error(name);
    return name;
  };
  const done = [inTurn("a", work("first")), inTurn("a", work("second")), inTurn("a", work("third"))];
  const other = inTurn("b", work("other"));
  await Promise.resolve();
  expect(happened).toEqual(["first begins", "other begins"]);
  const outcomes = await Promise.allSettled([...done, other]);
  expect(outcomes.map((one) => (one.status === "fulfilled" ? one.value : "failed"))).toEqual([
    "failed",
    ...["second", "third", "other"],
  ]);
  expect(happened.filter((what) => !what.startsWith("other"))).toEqual(
    ["first", "second", "third"].flatMap((name) => [`${name} begins`, `${name} ends`]),
  );
  expect(await inTurn("a", work("again"))).toBe("again");
});
