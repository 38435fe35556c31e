import { describe, expect, it } from "vitest";
import { openTurns, type Turns } from "./turns.ts";

/** Turns of the event loop, and who was answered by then. */
function watch(turns: Turns) {
  const answered: string[] = [];
  return {
    answered,
    hold: (name: string) => void turns.take(Promise.resolve(name)).then((one) => answered.push(one)),
    async turn(count = 1) {
      for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe("answers of batches", () => {
  it("are handed on one batch a turn when nobody asks again", async () => {
    const { answered, hold, turn } = watch(openTurns());
    hold("a");
    hold("b");
    await turn(2);
    expect(answered).toEqual(["a"]);
    await turn();
    expect(answered).toEqual(["a", "b"]);
  });

  it("wait while each turn brings calls of those who were answered before, until these left", async () => {
    const turns = openTurns();
    const { answered, hold, turn } = watch(turns);
    hold("a");
    await turn(2);
    hold("b");
    for (let n = 0; n < 4; n++) {
      turns.came();
      await turn();
    }
    expect(answered).toEqual(["a"]);
    turns.came();
    turns.left();
    await turn();
    expect(answered).toEqual(["a", "b"]);
  });

  it("let what waits for company leave first", async () => {
    const turns = openTurns();
    const { answered, hold, turn } = watch(turns);
    const order: string[] = [];
    hold("a");
    turns.before(() => {
      order.push(`sent after ${answered.length}`);
      turns.left();
    });
    await turn(3);
    expect([order, answered]).toEqual([["sent after 0"], ["a"]]);
  });

  it("do not wait for ever, however many come", async () => {
    const turns = openTurns();
    const { answered, hold, turn } = watch(turns);
    for (const name of ["a", "b", "c"]) hold(name);
    for (let n = 0; n < 30; n++) {
      turns.came();
      await turn();
    }
    expect(answered).toEqual(["a", "b", "c"]);
  });
});
