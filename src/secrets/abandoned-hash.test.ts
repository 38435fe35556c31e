import { EventEmitter } from "node:events";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { secret } from "./secret.ts";
import { ROOM, slowHash } from "./slow-hash.ts";

/** A process that hashes when it is told to. */
const hasher = vi.hoisted(() => ({ asked: [] as number[], answer: (_id: number) => {} }));

vi.mock("node:child_process", () => ({
  fork() {
    const child = Object.assign(new EventEmitter(), {
      ...{ ref() {}, unref() {} },
      send: ({ id }: { id: number }) => void hasher.asked.push(id),
    });
    hasher.answer = (id) => void child.emit("message", { id, hash: `of ${id}` });
    return child;
  },
}));

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("keeps its place until the process has done with it, and then whoever is next has it", async () => {
  const WAITING = 200;
  const refused: unknown[] = [];
  const begin = () => slowHash(secret("a long password")).catch(({ code }) => void refused.push(code));
  const first = Array.from({ length: ROOM - WAITING }, begin);
  await vi.advanceTimersByTimeAsync(5_000);
  await Promise.all(first);
  const abandoned = [...hasher.asked];
  expect([abandoned.length, refused.length]).toEqual([first.length, first.length]);
  const second = begin();
  await vi.advanceTimersByTimeAsync(5_000);
  await second;
  expect(refused).toEqual(Array(first.length + 1).fill("temporarily_unavailable"));
  expect(hasher.asked, "nothing more was begun").toEqual(abandoned);
  const third = begin();
  for (const id of abandoned) hasher.answer(id);
  await vi.advanceTimersByTimeAsync(0);
  const [id = 0, ...more] = hasher.asked.slice(abandoned.length);
  expect(more).toEqual([]);
  hasher.answer(id);
  expect(await third).toBe(`of ${id}`);
});
