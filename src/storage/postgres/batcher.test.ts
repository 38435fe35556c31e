import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { HotStatement } from "../storage.ts";
import { openTurns } from "../turns.ts";
import { type Batcher, openBatcher } from "./batcher.ts";

const statement: HotStatement<string, string> = {
  name: "test_echo",
  key: (input) => input,
  mode: { kind: "spending" },
  sqlite: (_, input) => input,
  postgres: { text: "", parameters: () => [], answers: () => [] },
};

/** Batches are answered when the test says so, and timers are its own: nothing here depends on how fast anything is. */
describe("calls that travel together", () => {
  let batches: { readonly inputs: readonly string[]; answer(): void }[];
  let batcher: Batcher<string, string>;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    batches = [];
    const execute = (inputs: readonly string[]) =>
      new Promise<readonly string[]>((resolve) => batches.push({ inputs, answer: () => resolve(inputs) }));
    batcher = openBatcher(statement, execute, 5_000, openTurns());
  });
  afterEach(() => vi.useRealTimers());

  const turns = async (count = 3) => {
    for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const ask = async (...names: string[]) => {
    const answers = names.map((name) => batcher(name));
    await turns();
    return answers;
  };
  const sent = () => batches.map(({ inputs }) => inputs.length);

  it("wait for nobody when nothing is on its way", async () => {
    const [answer] = await ask("a");
    expect(sent()).toEqual([1]);
    batches[0]?.answer();
    expect(await answer).toBe("a");
  });

  it("gather while a batch is on its way, and leave with its answer", async () => {
    await ask("a");
    const answers = [...(await ask("b")), ...(await ask("c")), ...(await ask("d"))];
    expect(sent()).toEqual([1]);
    batches[0]?.answer();
    await turns();
    expect(sent()).toEqual([1, 3]);
    batches[1]?.answer();
    expect(await Promise.all(answers)).toEqual(["b", "c", "d"]);
  });

  it("are complete at sixteen, and wait no longer", async () => {
    await ask("a");
    await ask(...Array.from({ length: 15 }, (_, n) => `b${n}`));
    expect(sent()).toEqual([1]);
    await ask("c");
    expect(sent()).toEqual([1, 16]);
  });

  it("do not wait for a batch that stands still, such as one that waits for a lock", async () => {
    await ask("a");
    const [answer] = await ask("b");
    vi.advanceTimersByTime(2);
    await turns();
    expect(sent()).toEqual([1, 1]);
    batches[1]?.answer();
    expect(await answer).toBe("b");
  });
});
