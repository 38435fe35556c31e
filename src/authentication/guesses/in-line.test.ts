import { expect, it, vi } from "vitest";
import { inLine } from "./in-line.ts";

const ada = { account_id: "T11200001", person: "ada" };

it("attempts at one person follow each other, whatever becomes of them, and others wait for nobody", async () => {
  const order: string[] = [];
  const attempt =
    (name: string, fails = false) =>
    async () => {
      order.push(`${name} begins`);
      await new Promise(setImmediate);
      order.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
  const all = [
    inLine(ada, attempt("first", true)),
    inLine(ada, attempt("second")),
    inLine({ ...ada, person: "grace" }, attempt("another")),
  ];
  expect((await Promise.allSettled(all)).map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
  const of_ada = order.filter((step) => !step.startsWith("another"));
  expect(of_ada).toEqual(["first begins", "first ends", "second begins", "second ends"]);
  expect(order.indexOf("another begins")).toBeLessThan(order.indexOf("second begins"));
});

it("who has waited too long, or comes when too many wait, is turned away and attempts nothing", async () => {
  vi.useFakeTimers();
  let done = (): void => {};
  const first = inLine(ada, () => new Promise<void>((resolve) => (done = resolve)));
  let attempts = 0;
  const count = async () => {
    attempts += 1;
  };
  const waiting = Array.from({ length: 99 }, () => inLine(ada, count));
  const outcomes = Promise.allSettled([...waiting, inLine(ada, count)]);
  await vi.advanceTimersByTimeAsync(5_000);
  const refused = { status: "rejected", reason: expect.objectContaining({ code: "temporarily_unavailable" }) };
  expect(await outcomes).toEqual(Array(100).fill(refused));
  vi.useRealTimers();
  done();
  await first;
  await inLine(ada, count);
  expect(attempts).toBe(1);
});
