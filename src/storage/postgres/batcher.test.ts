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
    batcher = openBatcher(statement, { together: execute, briefly: execute }, 5_000, openTurns());
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

  it("go again in a place of their own where somebody holds a row, and keep nobody else's", async () => {
    const held = new Set(["a0", "a1", "a2", "a3"]);
    const execute = async (inputs: readonly string[]) => {
      if (inputs.some((input) => held.has(input))) throw Object.assign(new Error("held"), { code: "55P03" });
      return inputs;
    };
    batcher = openBatcher(statement, { together: execute, briefly: execute }, 5_000, openTurns());
    const stuck = [];
    for (const name of held) {
      stuck.push(batcher(name));
      vi.advanceTimersByTime(2);
      await turns(20);
    }
    expect(await batcher("b")).toBe("b");
    const last = batcher("a4");
    last.catch(() => {});
    held.add("a4").delete("a0");
    for (let pause = 0; pause < 10; pause++) {
      vi.advanceTimersByTime(50);
      await turns(20);
    }
    expect(await stuck[0]).toBe("a0");
    held.clear();
    for (let pause = 0; pause < 10; pause++) {
      vi.advanceTimersByTime(50);
      await turns(20);
    }
    expect(await Promise.all([...stuck, last])).toEqual(["a0", "a1", "a2", "a3", "a4"]);
  });

  it("wait for rows that somebody holds once together, and from then on briefly, each as often as the others", async () => {
    const names = Array.from({ length: 20 }, (_, n) => `a${n + 10}`);
    const held = new Set(names.slice(0, -1));
    const refuseHeld = async (inputs: readonly string[]) => {
      if (inputs.some((input) => held.has(input))) throw Object.assign(new Error("held"), { code: "55P03" });
      return inputs;
    };
    const together = vi.fn(refuseHeld);
    batcher = openBatcher(statement, { together, briefly: refuseHeld }, 5_000, openTurns());
    const answers = names.map((name) => batcher(name));
    expect(await answers[19], "nobody holds it").toBe("a29");
    await turns(60);
    held.delete("a28");
    vi.advanceTimersByTime(50);
    expect(await answers[18], "after one round").toBe("a28");
    expect(together.mock.calls.every(([inputs]) => inputs.length > 1)).toBe(true);
    held.clear();
    vi.advanceTimersByTime(50);
    await turns(60);
    vi.advanceTimersByTime(50);
    expect(await Promise.all(answers)).toEqual(names);
  });
});
