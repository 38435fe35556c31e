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

it("what may be done together is done by a few at a time, and does not overtake what is done alone", async () => {
  const inTurn = openInTurn();
  const happened: string[] = [];
  const ends: (() => void)[] = [];
  const work = (name: string) => () => {
    happened.push(name);
    return new Promise<void>((resolve) => void ends.push(resolve));
  };
  const turned = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const together = (name: string) => inTurn("a", work(name), "together");
  const done = [
    together("one"),
    together("two"),
    inTurn("a", work("alone")),
    ...Array.from({ length: 12 }, () => together("later")),
  ];
  await turned();
  expect(happened).toEqual(["one", "two"]);
  ends[0]?.();
  await turned();
  expect(happened).toHaveLength(2);
  ends[1]?.();
  await turned();
  expect(happened.slice(2)).toEqual(["alone"]);
  ends[2]?.();
  await turned();
  expect(happened.slice(3)).toEqual(Array.from({ length: 10 }, () => "later"));
  for (let n = 3; n < done.length; n++) {
    ends[n]?.();
    await turned();
  }
  await Promise.all(done);
});
